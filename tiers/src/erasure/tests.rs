use super::*;
use proptest::prelude::*;

/// k + m units of `len` bytes that belong together.
fn stripe(erasure: &Erasure, len: usize, seed: u8) -> Vec<Vec<u8>> {
    let byte = |unit: usize, at: usize| u8::try_from((unit * 31 + at * 7 + at / 5) % 256).unwrap() ^ seed;
    let code = erasure.code();
    let data: Vec<Vec<u8>> = (0..code.k()).map(|unit| (0..len).map(|at| byte(unit, at)).collect()).collect();
    let mut parity = vec![vec![0xee; len]; code.m()];
    {
        let data: Vec<&[u8]> = data.iter().map(Vec::as_slice).collect();
        let mut parity: Vec<&mut [u8]> = parity.iter_mut().map(Vec::as_mut_slice).collect();
        erasure.encode(&data, &mut parity).unwrap();
    }
    [data, parity].concat()
}

/// The slots of `units`, of which those in the bit set `lost` are not good.
fn slots(units: &mut [Vec<u8>], lost: u32) -> Vec<Slot<'_>> {
    let slot = |(index, unit): (usize, _)| -> Slot<'_> { (Vec::as_mut_slice(unit), lost & (1 << index) == 0) };
    units.iter_mut().enumerate().map(slot).collect()
}

/// Overwrites every lost unit, so that a test sees what was rebuilt.
fn lose(units: &mut [Vec<u8>], lost: u32) {
    let lost_units = units.iter_mut().enumerate().filter(|(index, _)| lost & (1 << index) != 0);
    lost_units.for_each(|(_, unit)| unit.fill(0xaa));
}

fn patterns(code: Code, lost: usize) -> impl Iterator<Item = u32> {
    (0u32..1 << code.shards()).filter(move |pattern| pattern.count_ones() as usize == lost)
}

#[test]
fn every_pattern_of_up_to_m_losses_is_rebuilt_exactly() {
    for code in Code::ALLOWED {
        let erasure = Erasure::new(code).unwrap();
        let whole = stripe(&erasure, 40, 3);
        for lost in (0..=code.m()).flat_map(|lost| patterns(code, lost)) {
            let mut units = whole.clone();
            lose(&mut units, lost);
            erasure.rebuild(&mut slots(&mut units, lost)).unwrap();
            assert_eq!(units, whole, "{code}, lost {lost:b}");
        }
    }
}

#[test]
fn every_pattern_of_one_loss_too_many_is_refused_and_changes_nothing() {
    for code in Code::ALLOWED {
        let erasure = Erasure::new(code).unwrap();
        for lost in patterns(code, code.m() + 1) {
            let mut units = stripe(&erasure, 8, 1);
            lose(&mut units, lost);
            let before = units.clone();
            let error = erasure.rebuild(&mut slots(&mut units, lost)).unwrap_err();
            assert!(matches!(error, Error::TooFewUnits { good, needed } if good == code.k() - 1 && needed == code.k()));
            assert_eq!(units, before);
        }
    }
}

#[test]
fn data_is_rebuilt_without_room_for_lost_parity() {
    for code in Code::ALLOWED {
        let erasure = Erasure::new(code).unwrap();
        let whole = stripe(&erasure, 40, 9);
        for lost in patterns(code, code.m()) {
            let mut units = whole.clone();
            lose(&mut units, lost);
            for (index, unit) in units.iter_mut().enumerate().skip(code.k()) {
                if lost & (1 << index) != 0 {
                    unit.clear();
                }
            }
            erasure.rebuild_data(&mut slots(&mut units, lost)).unwrap();
            assert_eq!(units[..code.k()], whole[..code.k()], "{code}, lost {lost:b}");
        }
    }
}

#[test]
fn the_copies_of_a_mirror_are_copies() {
    for code in Code::ALLOWED.into_iter().filter(|code| code.is_mirror()) {
        let units = stripe(&Erasure::new(code).unwrap(), 100, 5);
        assert!(units.iter().all(|unit| unit == &units[0]));
    }
}

#[test]
fn units_that_do_not_fit_the_code_are_our_mistake() {
    let erasure = Erasure::new(Code::parse("4+2").unwrap()).unwrap();
    let (unit, mut short, mut long) = ([1; 8], [0; 7], [0; 8]);
    assert!(matches!(erasure.encode(&[&unit[..]; 4], &mut [&mut short, &mut long]), Err(Error::Units { .. })));
    assert!(matches!(erasure.encode(&[&unit[..]; 3], &mut [&mut [0; 8], &mut [0; 8]]), Err(Error::Units { .. })));
    assert!(matches!(erasure.encode(&[&[][..]; 4], &mut [&mut [], &mut []]), Err(Error::Units { .. })));
    let mirror = Erasure::new(Code::parse("1+2").unwrap()).unwrap();
    assert!(matches!(mirror.encode(&[&unit], &mut [&mut [0; 7], &mut [0; 8]]), Err(Error::Units { .. })));
    assert!(matches!(mirror.encode(&[&unit], &mut [&mut [0; 8]]), Err(Error::Units { .. })));
}

/// Product in GF(256) reduced by 0x11d, bit by bit.
fn multiply(a: u8, b: u8) -> u8 {
    (0..8).rev().fold(0, |product: u8, bit| {
        let doubled = (product << 1) ^ if product & 0x80 != 0 { 0x1d } else { 0 };
        if b & (1 << bit) != 0 { doubled ^ a } else { doubled }
    })
}

fn divide(a: u8, b: u8) -> u8 {
    (0..=255).find(|quotient| multiply(*quotient, b) == a).unwrap()
}

/// The value at `x` of the polynomial through `values` at 0, 1, 2 and so on, after Lagrange.
fn interpolate(values: &[u8], x: u8) -> u8 {
    let points = || (0u8..).zip(values);
    points().fold(0, |sum, (i, value)| {
        let others = || points().map(|(j, _)| j).filter(move |j| *j != i);
        let above = others().fold(1, |product, j| multiply(product, x ^ j));
        let below = others().fold(1, |product, j| multiply(product, i ^ j));
        sum ^ multiply(*value, divide(above, below))
    })
}

#[test]
fn parity_is_the_polynomial_that_the_format_says() {
    for code in Code::ALLOWED {
        let units = stripe(&Erasure::new(code).unwrap(), 24, 11);
        for at in 0..24 {
            let data: Vec<u8> = units[..code.k()].iter().map(|unit| unit[at]).collect();
            for (x, unit) in (0u8..).zip(&units) {
                assert_eq!(unit[at], interpolate(&data, x), "{code}, unit {x}, byte {at}");
            }
        }
    }
}

#[test]
fn one_coder_serves_several_threads() {
    let erasure = Erasure::new(Code::parse("4+2").unwrap()).unwrap();
    let whole = stripe(&erasure, 4096, 2);
    std::thread::scope(|scope| {
        for lost in patterns(erasure.code(), 2) {
            let (erasure, whole) = (&erasure, &whole);
            scope.spawn(move || {
                let mut units = whole.clone();
                lose(&mut units, lost);
                erasure.rebuild(&mut slots(&mut units, lost)).unwrap();
                assert_eq!(&units, whole);
            });
        }
    });
}

proptest! {
    #[test]
    fn any_stripe_survives_any_m_losses(code in 0usize..6, len in 1usize..5000, seed: u8, lost: u32) {
        let erasure = Erasure::new(Code::ALLOWED[code]).unwrap();
        let whole = stripe(&erasure, len, seed);
        // Of the losses drawn, the first m.
        let bits = (0..erasure.code().shards()).filter(|bit| lost & (1 << bit) != 0).take(erasure.code().m());
        let lost = bits.fold(0, |set, bit| set | 1 << bit);
        let mut units = whole.clone();
        lose(&mut units, lost);
        erasure.rebuild(&mut slots(&mut units, lost)).unwrap();
        prop_assert_eq!(units, whole);
    }
}
