"""The device under test. Pure: `protocol` and `replies` say what bytes mean, `dialect` how one DUT differs from another, `silence` what a
missing reply means. `serial_link` carries them; `device` offers operations, `upload` brings inputs in, `streaming` and `interface_board`
offer what only some have."""
