//! The offline AWS, driven by the real SDKs.

mod smoke;
mod support;
