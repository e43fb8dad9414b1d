//! Writes the API's document, in both versions, into a folder: `make openapi`.

use functions::openapi::{document, older, printed};
use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let folder = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("docs"), PathBuf::from);
    let document = document();
    std::fs::write(folder.join("openapi.json"), printed(&document))?;
    std::fs::write(folder.join("openapi-3.0.json"), printed(&older(&document)))
}
