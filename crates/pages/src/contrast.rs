//! Contrast as WCAG 2.2 defines it; and a test of the colour pairs of `app.css` against its success criteria 1.4.3
//! and 1.4.11 (AA).

#![expect(clippy::float_arithmetic, reason = "relative luminance is defined on reals; no money here")]

#[cfg(test)]
use std::collections::HashMap;

fn luminance(rgb: u32) -> f64 {
    let channel = |shift: u32| {
        let c = f64::from((rgb >> shift) & 0xff) / 255.0;
        if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * channel(16) + 0.7152 * channel(8) + 0.0722 * channel(0)
}

/// From 1 (the same) to 21 (black and white).
pub(crate) fn contrast(a: u32, b: u32) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// `rgb` with that many hundredths of `other`, at most 100.
pub(crate) fn mixed(rgb: u32, other: u32, hundredths: u32) -> u32 {
    let share = hundredths.min(100);
    let channel = |shift: u32| {
        let (a, b) = ((rgb >> shift) & 0xff, (other >> shift) & 0xff);
        ((a * (100 - share) + b * share) / 100) << shift
    };
    channel(16) | channel(8) | channel(0)
}

#[cfg(test)]
const CSS: &str = include_str!("../assets/app.css");

/// Custom properties holding `#rrggbb`, in the order of the file: the light `:root`, then the dark one over it.
#[cfg(test)]
pub(crate) fn palettes() -> [HashMap<&'static str, u32>; 2] {
    let (light, dark) = CSS.split_once("@media (prefers-color-scheme: dark)").expect("a dark palette");
    let (dark, _) = dark.split_once("*,").expect("rules after the palettes");
    let light = colours(light);
    let mut merged = light.clone();
    merged.extend(colours(dark));
    [light, merged]
}

#[cfg(test)]
fn colours(css: &'static str) -> HashMap<&'static str, u32> {
    css.lines()
        .filter_map(|line| line.trim().strip_prefix("--")?.strip_suffix(';')?.split_once(": #"))
        .map(|(name, hex)| {
            assert_eq!(hex.len(), 6, "--{name}: write #rrggbb");
            (name, u32::from_str_radix(hex, 16).unwrap_or_else(|_| panic!("--{name}: #{hex}")))
        })
        .collect()
}

#[test]
fn formula_agrees_with_known_values() {
    assert!((contrast(0x000000, 0xffffff) - 21.0).abs() < 1e-9);
    assert!((contrast(0x767676, 0xffffff) - 4.54).abs() < 0.01);
    assert_eq!((mixed(0x0a7f5a, 0xffffff, 100), mixed(0x0a7f5a, 0, 0)), (0xffffff, 0x0a7f5a));
    assert_eq!(mixed(0x204060, 0, 50), 0x102030);
}

#[test]
fn every_pair_is_readable_in_both_schemes() {
    const TEXT: f64 = 4.5;
    const EDGE: f64 = 3.0;
    let pairs = [
        ("text", "surface", TEXT),
        ("text", "page", TEXT),
        ("text", "hover", TEXT),
        ("muted", "surface", TEXT),
        ("muted", "page", TEXT),
        ("on-accent", "accent", TEXT),
        ("on-accent", "accent-hover", TEXT),
        ("on-banner", "banner", TEXT),
        ("edge", "surface", EDGE),
        ("edge", "hover", EDGE),
        ("accent", "surface", TEXT),
        ("accent", "hover", TEXT),
        ("focus", "surface", EDGE),
        ("success", "surface", EDGE),
        ("failed", "surface", TEXT),
    ];
    for (scheme, palette) in ["light", "dark"].into_iter().zip(palettes()) {
        for (front, back, least) in pairs {
            let ratio = contrast(palette[front], palette[back]);
            assert!(ratio >= least, "{scheme}: --{front} on --{back} is {ratio:.2}, below {least}");
        }
    }
}

#[test]
fn dark_scheme_replaces_every_colour() {
    let [light, dark] = palettes();
    for (name, value) in &light {
        assert_ne!(dark[name], *value, "--{name} is the same in both schemes");
    }
}
