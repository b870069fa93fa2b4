//! Everything this package writes: as committed, whatever was put in, and as Nix itself reads it.

mod cases;
mod golden;
mod hostile;
mod literal;
mod nix;
