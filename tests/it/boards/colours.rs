//! Whether the boards' own colours can be told apart: by people with full colour vision and with the two common kinds of colour
//! blindness, on dark and on light ground.

use super::dashboards::panel::colour;

const FAMILY: &[(&str, &str)] = &[
    ("green", colour::GREEN),
    ("blue", colour::BLUE),
    ("sky", colour::SKY),
    ("yellow", colour::YELLOW),
    ("orange", colour::ORANGE),
    ("red", colour::RED),
    ("purple", colour::PURPLE),
    ("brown", colour::BROWN),
    ("grey", colour::GREY),
];
/// Grafana's panels, dark and light.
const GROUNDS: [&str; 2] = ["#181B1F", "#FFFFFF"];

/// How far apart two colours are to be; about 2 is what one can just see side by side, and lines are apart and thin.
const CLEARLY: f64 = 12.0;

type Rgb = [f64; 3];

/// Linear light, from `#RRGGBB`.
fn linear(hex: &str) -> Rgb {
    [1, 3, 5].map(|at| {
        let share = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).expect("two digits")) / 255.0;
        if share <= 0.040_45 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
    })
}

fn through(matrix: [Rgb; 3], colour: Rgb) -> Rgb {
    matrix.map(|row| row.iter().zip(colour).map(|(part, light)| part * light).sum())
}

const SEEN: [(&str, [Rgb; 3]); 3] = [
    ("full colour vision", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
    // Machado, Oliveira and Fernandes 2009, severity 1.
    (
        "protanopia",
        [[0.152_286, 1.052_583, -0.204_868], [0.114_503, 0.786_281, 0.099_216], [-0.003_882, -0.048_116, 1.051_998]],
    ),
    (
        "deuteranopia",
        [[0.367_322, 0.860_646, -0.227_968], [0.280_085, 0.672_501, 0.047_413], [-0.011_820, 0.042_940, 0.968_881]],
    ),
];

/// CIE L*a*b*, D65.
fn lab(colour: Rgb) -> Rgb {
    let xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]];
    let [x, y, z] = through(xyz, colour.map(|light| light.clamp(0.0, 1.0)));
    let [x, y, z] = [x / 0.9505, y, z / 1.089].map(|t| if t > 0.008_856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 });
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

/// The distance of two colours (CIE 1976).
fn distance(one: Rgb, other: Rgb) -> f64 {
    one.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

fn contrast(one: &str, other: &str) -> f64 {
    let light = |hex| through([[0.2126, 0.7152, 0.0722]; 3], linear(hex))[0] + 0.05;
    let (one, other) = (light(one), light(other));
    one.max(other) / one.min(other)
}

#[test]
fn the_boards_colours_are_distinct_for_every_kind_of_colour_vision() {
    let mut alike = Vec::new();
    for (eye, matrix) in SEEN {
        for (at, (name, hex)) in FAMILY.iter().enumerate() {
            for (other, other_hex) in &FAMILY[..at] {
                let distance = distance(lab(through(matrix, linear(hex))), lab(through(matrix, linear(other_hex))));
                if distance < CLEARLY {
                    alike.push(format!("{name} and {other} with {eye}: {distance:.1}"));
                }
            }
        }
    }
    assert!(alike.is_empty(), "{}", alike.join("\n"));
}

#[test]
fn the_boards_colours_stand_out_from_both_grounds() {
    let faint = |ground: &'static str| {
        FAMILY.iter().filter_map(move |(name, hex)| {
            let contrast = contrast(hex, ground);
            (contrast < 2.0).then(|| format!("{name} on {ground}: {contrast:.2}"))
        })
    };
    let faint: Vec<_> = GROUNDS.into_iter().flat_map(faint).collect();
    assert!(faint.is_empty(), "{}", faint.join("\n"));
}
