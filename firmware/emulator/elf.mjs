// A linked image (ELF, 32 bits, little-endian): where its segments lie before it runs, and where it starts.

const HEADER = { MAGIC: 0x464c457f, ENTRY: 24, PROGRAM_HEADERS: 28, SIZE: 42, COUNT: 44 };
const SEGMENT = { TYPE: 0, OFFSET: 4, ADDRESS: 12, FILE_SIZE: 16 };
const LOAD = 1;

export function loadElf(file, place) {
  if (file.length < 52 || file.readUInt32LE(0) !== HEADER.MAGIC) {
    throw new Error('the image is not an ELF file');
  }
  for (let i = 0; i < file.readUInt16LE(HEADER.COUNT); i++) {
    const at = file.readUInt32LE(HEADER.PROGRAM_HEADERS) + i * file.readUInt16LE(HEADER.SIZE);
    const [offset, size] = [file.readUInt32LE(at + SEGMENT.OFFSET), file.readUInt32LE(at + SEGMENT.FILE_SIZE)];
    if (file.readUInt32LE(at + SEGMENT.TYPE) === LOAD && size > 0) {
      place(file.readUInt32LE(at + SEGMENT.ADDRESS), file.subarray(offset, offset + size));
    }
  }
  return file.readUInt32LE(HEADER.ENTRY) & ~1;
}
