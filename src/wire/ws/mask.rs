//! Masking (RFC 6455 5.3).

/// Unmasks (or masks) bytes of which the first meets the first byte of `mask`. Eight at a time, which the
/// compiler turns into vectors: byte by byte, this would cost more than all else that is done to a message.
pub(super) fn unmask(bytes: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, tail) = bytes.as_chunks_mut();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in tail.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

/// The mask as it stands for what follows the next `length` bytes.
pub(super) fn after(mut mask: [u8; 4], length: usize) -> [u8; 4] {
    mask.rotate_left(length % 4);
    mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_at_every_cut_is_unmasked_like_one_byte_after_the_other() {
        let mask = [0x37, 0xfa, 0x21, 0x3d];
        for length in 0..40 {
            let plain: Vec<u8> = (0..length).collect();
            let masked: Vec<u8> = plain
                .iter()
                .zip(mask.iter().cycle())
                .map(|(a, b)| a ^ b)
                .collect();
            for cut in 0..=plain.len() {
                let mut bytes = masked.clone();
                let (front, back) = bytes.split_at_mut(cut);
                unmask(front, mask);
                unmask(back, after(mask, cut));
                assert_eq!(bytes, plain);
            }
        }
    }
}
