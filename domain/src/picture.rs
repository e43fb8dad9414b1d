//! QR codes as pictures: PNG (W3C Recommendation, third edition) in black and white, without compression, which a code of this
//! size does not need.

use qrcodegen::{QrCode, QrCodeEcc};

/// Pixels for each square of the code.
const SCALE: usize = 4;
/// Squares of white around it (ISO/IEC 18004, section 9.1).
const BORDER: usize = 4;
/// The largest block that deflate stores as it is (RFC 1951, section 3.2.4).
const MAX_BLOCK: usize = 65_535;

/// A picture of a text; `None` if it is too long for a code.
pub fn qr_code(text: &str) -> Option<Vec<u8>> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
    let squares = usize::try_from(code.size()).ok()? + 2 * BORDER;
    let side = squares * SCALE;
    let is_white = |at: (usize, usize)| {
        let square = |pixel: usize| i32::try_from(pixel / SCALE).ok()?.checked_sub(i32::try_from(BORDER).ok()?);
        // what is outside of the code is white
        !matches!((square(at.0), square(at.1)), (Some(x), Some(y)) if code.get_module(x, y))
    };
    let mut lines = Vec::with_capacity(side * (side / 8 + 1));
    for y in 0..side {
        // no filter
        lines.push(0);
        for first in (0..side).step_by(8) {
            let bit = |at: usize| u8::from(first + at < side && is_white((first + at, y))) << (7 - at);
            lines.push((0..8).map(bit).fold(0, |byte, bit| byte | bit));
        }
    }
    let width = u32::try_from(side).ok()?.to_be_bytes();
    let mut header = [width, width].concat();
    // one bit a pixel, grey; deflate, no filters of its own, not interlaced
    header.extend([1, 0, 0, 0, 0]);
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in [(b"IHDR", header), (b"IDAT", stored(&lines)), (b"IEND", Vec::new())] {
        png.extend(u32::try_from(data.len()).ok()?.to_be_bytes());
        let checked = [kind.as_slice(), &data].concat();
        png.extend(&checked);
        png.extend(crc32fast::hash(&checked).to_be_bytes());
    }
    Some(png)
}

/// A zlib stream (RFC 1950) of blocks that are stored as they are.
fn stored(data: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let last = data.chunks(MAX_BLOCK).count().saturating_sub(1);
    for (at, block) in data.chunks(MAX_BLOCK).enumerate() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        stream.push(u8::from(at == last));
        stream.extend(length.to_le_bytes());
        stream.extend((!length).to_le_bytes());
        stream.extend(block);
    }
    let (a, b) = data.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    stream.extend(((b << 16) | a).to_be_bytes());
    stream
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_png_of_a_square() {
        let png = qr_code("otpauth://totp/Towpath:ana?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Towpath").unwrap();
        assert!(png.starts_with(b"\x89PNG\r\n\x1a\n") && png.ends_with(&[0xae, 0x42, 0x60, 0x82]));
        let side = |at: usize| u32::from_be_bytes(png.get(at..at + 4).unwrap().try_into().unwrap());
        assert_eq!(side(16), side(20));
        assert_eq!(side(16) % 4, 0);
        assert!(qr_code(&"x".repeat(5000)).is_none());
    }

    #[test]
    fn the_stream_has_the_checksum_of_its_data() {
        // RFC 1950, section 9 has no value; this is the well-known one of this text
        assert!(stored(b"Wikipedia").ends_with(&0x11E6_0398_u32.to_be_bytes()));
        assert_eq!(stored(b"ab").get(..9), Some(&[0x78, 0x01, 1, 2, 0, 0xfd, 0xff, b'a', b'b'][..]));
    }
}
