// What an RP2040's boot ROM does at a start from flash (data sheet 2.8.1.3): the first 256 bytes into the end of SRAM, if their sum is right.

const STAGE = 256;
const SUMMED = 252;
const SRAM = 0x20000000;
const STAGE_ADDRESS = 0x20041f00;

// CRC-32, most significant bit first, nothing inverted at the end.
function checksum(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit--) {
      const carry = (sum >>> 31) ^ ((byte >> bit) & 1);
      sum = ((sum << 1) ^ (carry ? 0x04c11db7 : 0)) >>> 0;
    }
  }
  return sum;
}

export function bootFromFlash(flash, sram) {
  const stage = flash.subarray(0, STAGE);
  const wanted = new DataView(flash.buffer, flash.byteOffset).getUint32(SUMMED, true);
  if (checksum(stage.subarray(0, SUMMED)) !== wanted) {
    throw new Error('the boot ROM finds no second stage with a right sum in flash');
  }
  sram.set(stage, STAGE_ADDRESS - SRAM);
  return STAGE_ADDRESS;
}
