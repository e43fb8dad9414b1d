//! Use cases against the in-process offline AWS: real SDK calls, one isolated instance for each test.

mod faults;
mod files;
mod settling;
mod world;
