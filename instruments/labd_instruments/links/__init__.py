"""Links carry commands and blocks: `link` says what one is, `visa` reaches instruments, `recorder` writes and `scripted` plays."""
