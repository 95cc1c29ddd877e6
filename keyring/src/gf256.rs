//! The field of 256 elements, and polynomials over it: the arithmetic of shared secrets.
//!
//! Invariants
//! - Nothing here branches on, or looks up by, a coefficient or a value: time and memory accesses depend only on how
//!   many shares there are and on their numbers, which are public.
//! - Values are wiped by whoever owns them; what is computed on the way lives in registers and in the output.
//!
//! Source: FIPS 197, section 4, for the field (x^8 + x^4 + x^3 + x + 1); Shamir, "How to Share a Secret", 1979.

/// Product, by the schoolbook method with masks.
pub(crate) const fn mul(a: u8, b: u8) -> u8 {
    let (mut product, mut a, mut bit) = (0, a, 0);
    while bit < 8 {
        product ^= a & ((b >> bit) & 1).wrapping_neg();
        a = (a << 1) ^ (0x1b & (a >> 7).wrapping_neg());
        bit += 1;
    }
    product
}

/// Inverse: a to the power of 254. That of zero is zero.
const fn inverse(a: u8) -> u8 {
    let (mut power, mut square, mut bit) = (1, a, 1);
    while bit < 8 {
        square = mul(square, square);
        power = mul(power, square);
        bit += 1;
    }
    power
}

/// Evaluates at `x`, for each byte, the polynomial whose constant terms are `secret` and whose higher coefficients are
/// the `higher` ones, lowest degree first.
pub(crate) fn evaluate(secret: &[u8], higher: &[&[u8]], x: u8, out: &mut [u8]) {
    for (at, out) in out.iter_mut().enumerate() {
        let from_highest = higher.iter().rev().map(|coefficients| coefficients[at]);
        *out = mul(from_highest.fold(0, |sum, coefficient| mul(sum, x) ^ coefficient), x) ^ secret[at];
    }
}

/// Value at `x` of the polynomials of least degree through `points`, whose first halves must all differ.
pub(crate) fn interpolate(points: &[(u8, &[u8])], x: u8, out: &mut [u8]) {
    out.fill(0);
    for &(own, values) in points {
        let others = points.iter().map(|(other, _)| *other).filter(|other| *other != own);
        let weight = others.fold(1, |weight, other| mul(weight, mul(x ^ other, inverse(own ^ other))));
        for (out, value) in out.iter_mut().zip(values) {
            *out ^= mul(weight, *value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::derive;
    use crate::secret::SecretKey;

    #[test]
    fn products_are_those_of_fips_197() {
        assert_eq!(mul(0x57, 0x83), 0xc1);
        assert_eq!(mul(0x57, 0x13), 0xfe);
        assert_eq!([0x02, 0x04, 0x08, 0x10].map(|x| mul(0x57, x)), [0xae, 0x47, 0x8e, 0x07]);
    }

    #[test]
    fn every_element_but_zero_has_an_inverse() {
        assert_eq!(inverse(0), 0);
        assert!((1..=255).all(|a| mul(a, inverse(a)) == 1));
    }

    /// Shares of published vectors of SLIP-0039 (those whose secrets begin `7c33` and `5385`), taken out of their words.
    /// There the secret is the value at 255, and the value at 254 is `HMAC-SHA-256(R, secret)[..4] | R`: so that every
    /// case proves itself, byte by byte.
    #[test]
    fn interpolation_agrees_with_the_vectors_of_slip_39() {
        let cases: [&[(u8, &str)]; 4] = [
            &[(0, "44e95c567b0b73d470f78e2cc4f206ee"), (4, "a0c12ed2cc2adeb32ccebec07a3c1b3a")],
            &[
                (4, "90f25bc998346d039203971999669e96"),
                (2, "fc119ebfe32da3d688dc1f26c22c7ffc"),
                (0, "9e6afad0e741c8c1c65b2785a942808a"),
            ],
            &[
                (0, "82a363ed145a49a4e37311253c105846c0afb13b74e5ddda9cc25d7aae49bc89"),
                (1, "d127f1f9bc12e3856fb3983104783b71480d249d80101568def4a41100177dfb"),
                (4, "4bde8a604105f3a6c32f2f547131aafea756725a28e80a14d59d8f05c4adcca5"),
            ],
            &[
                (1, "094ed0a7c9b50a3dcecc037bb4e34eb5b158a8ee3f8ea661e76521e07629e663"),
                (2, "98091ab3396a2e9ab9d6889b6507fce1e3c12dd0a2676ee52bb1b389ec320a90"),
            ],
        ];
        for case in cases {
            let values: Vec<(u8, Vec<u8>)> = case.iter().map(|(x, text)| (*x, hex::decode(text).unwrap())).collect();
            let points: Vec<(u8, &[u8])> = values.iter().map(|(x, value)| (*x, value.as_slice())).collect();
            let (mut secret, mut digest) = (vec![0; values[0].1.len()], vec![0; values[0].1.len()]);
            interpolate(&points, 255, &mut secret);
            interpolate(&points, 254, &mut digest);
            let mut key = [0; 64];
            key[..digest.len() - 4].copy_from_slice(&digest[4..]);
            // HMAC pads short keys with zeros; ours takes 32 bytes, and R has 12 or 28
            let key = SecretKey::new(key[..32].try_into().unwrap());
            assert_eq!(derive::hmac(&key, &[&secret])[..4], digest[..4], "{case:?}");
        }
    }

    #[test]
    fn what_is_evaluated_is_interpolated_back_at_every_place() {
        let (secret, a, b) = ([7, 0, 255], [1, 2, 3], [0, 0, 9]);
        let mut values = [[0; 3]; 3];
        for (value, x) in values.iter_mut().zip([1, 5, 200]) {
            evaluate(&secret, &[&a, &b], x, value);
        }
        let points = [(1, &values[0][..]), (5, &values[1]), (200, &values[2])];
        for x in 0..=255 {
            let (mut direct, mut through) = ([0; 3], [0; 3]);
            evaluate(&secret, &[&a, &b], x, &mut direct);
            interpolate(&points, x, &mut through);
            assert_eq!(direct, through, "at {x}");
        }
    }
}
