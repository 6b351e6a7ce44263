//! Parses the answers of helpers: this project's, older ones (JSON with the same keys, or `key: value` lines), and
//! macmon (<https://github.com/vladkens/macmon>, "Output format").
//!
//! Older helpers always send every key, and start with zeros and `nominal`: from them, these values mean "not
//! measured". This project's helper omits unknown facts, and sends its `version`, by which it is recognised.
//!
//! Promises: any bytes are parsed or refused without a panic; a number outside its plausible range is unknown.

use serde_json::{Map, Value};

use crate::host::gpu::Gpu;

/// The facts of a helper. `None` is unknown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HelperReading {
    /// When they were measured, in seconds since 1970. `None`: at the time of the answer.
    pub timestamp: Option<f64>,
    /// The product name of the GPU.
    pub gpu_name: Option<String>,
    /// Share of time in which the GPU was busy, 0 to 1.
    pub gpu_utilization: Option<f64>,
    /// Power of the GPU, in watts.
    pub gpu_power_watts: Option<f64>,
    /// Power of the processors, in watts.
    pub cpu_power_watts: Option<f64>,
    /// Energy of the processors since the helper or the system started, in joules.
    pub cpu_energy_joules: Option<f64>,
    /// Temperature of the processors, in degrees Celsius.
    pub cpu_celsius: Option<f64>,
    /// Temperature of the GPU, in degrees Celsius.
    pub gpu_celsius: Option<f64>,
    /// Memory pressure, 0 to 1.
    pub memory_pressure: Option<f64>,
    /// How much the system throttles because of heat.
    pub thermal_pressure: Option<ThermalPressure>,
}

impl HelperReading {
    /// The GPU according to the helper; `None` where it has no fact about one.
    #[must_use]
    pub fn gpu(&self) -> Option<Gpu> {
        let gpu = Gpu {
            utilization: self.gpu_utilization,
            power_watts: self.gpu_power_watts,
            temperature_celsius: self.gpu_celsius,
            ..Gpu::default()
        };
        let name = || self.gpu_name.clone().unwrap_or_default();
        (gpu != Gpu::default()).then(|| Gpu { index: "0".to_owned(), name: name(), ..gpu })
    }
}

/// How much macOS throttles because of heat (`powermetrics`, sampler `thermal`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThermalPressure {
    /// None.
    Nominal,
    /// A little; `light` on older systems.
    Moderate,
    /// Much.
    Heavy,
    /// To the minimum.
    Trapping,
    /// The system is about to sleep.
    Sleeping,
}

impl ThermalPressure {
    /// Every value, from cool to hot.
    pub const ALL: [Self; 5] = [Self::Nominal, Self::Moderate, Self::Heavy, Self::Trapping, Self::Sleeping];

    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nominal => "nominal",
            Self::Moderate => "moderate",
            Self::Heavy => "heavy",
            Self::Trapping => "trapping",
            Self::Sleeping => "sleeping",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "light" | "fair" => Some(Self::Moderate),
            "serious" => Some(Self::Heavy),
            "critical" => Some(Self::Trapping),
            level => Self::ALL.into_iter().find(|it| it.as_str() == level),
        }
    }
}

/// Parses an answer of any of these forms; `None` where it has none of them, or no fact.
#[must_use]
pub fn parse_answer(body: &[u8]) -> Option<HelperReading> {
    let reading = match serde_json::from_slice(body) {
        Ok(Value::Object(object)) if object.get("temp").is_some_and(Value::is_object) => parse_macmon(&object),
        Ok(Value::Object(object)) => parse_keys(&|key| object.get(key).cloned(), !object.contains_key("version")),
        Ok(_) => return None,
        Err(_) => parse_lines(std::str::from_utf8(body).ok()?),
    };
    let named = (reading.timestamp, reading.gpu_name.clone());
    let empty = HelperReading { timestamp: named.0, gpu_name: named.1, ..HelperReading::default() };
    (reading != empty).then_some(reading)
}

/// Parses the keys of this project's form and the older ones.
fn parse_keys(value: &dyn Fn(&str) -> Option<Value>, zero_is_unknown: bool) -> HelperReading {
    let number = |key: &str, range| {
        let number = within(value(key)?.as_f64()?, range)?;
        (!zero_is_unknown || number != 0.0).then_some(number)
    };
    // A measured level is capitalised, as powermetrics writes it.
    let level = |text: &str| {
        let unknown = zero_is_unknown && text == ThermalPressure::Nominal.as_str();
        (!unknown).then(|| ThermalPressure::parse(text)).flatten()
    };
    HelperReading {
        timestamp: value("timestamp").and_then(|it| within(it.as_f64()?, (0.0, 1e12))),
        gpu_name: value("gpu_name").and_then(|it| it.as_str().filter(|name| is_name(name)).map(str::to_owned)),
        gpu_utilization: number("gpu_utilization", PERCENT).map(|percent| percent / 100.0),
        gpu_power_watts: number("gpu_power", MILLIWATTS).map(|milliwatts| milliwatts / 1000.0),
        cpu_power_watts: number("cpu_power", MILLIWATTS).map(|milliwatts| milliwatts / 1000.0),
        cpu_energy_joules: number("cpu_energy_joules", JOULES),
        cpu_celsius: number("cpu_temperature", CELSIUS),
        gpu_celsius: number("gpu_temperature", CELSIUS),
        memory_pressure: number("memory_pressure", PERCENT).map(|percent| percent / 100.0),
        thermal_pressure: value("thermal_pressure").and_then(|it| level(it.as_str()?)),
    }
}

/// Parses lines of `key: value`.
fn parse_lines(text: &str) -> HelperReading {
    let find = |key: &str| {
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        let value = lines.filter(|(name, _)| name.trim() == key).map(|(_, value)| value.trim()).next()?;
        let number = value.parse().ok().and_then(serde_json::Number::from_f64);
        Some(number.map_or_else(|| Value::String(value.to_owned()), Value::Number))
    };
    parse_keys(&find, true)
}

/// Parses macmon's form, in watts and ratios. Its timestamp is that of the answer. Before `gpu_active_ratio` existed,
/// the GPU's share was `gpu_usage` (frequency and ratio, scaled by the frequency). A temperature of 0 is a missing
/// sensor.
fn parse_macmon(object: &Map<String, Value>) -> HelperReading {
    let top = |key: &str, range| within(object.get(key)?.as_f64()?, range);
    let celsius = |key: &str| within(object["temp"].get(key)?.as_f64()?, CELSIUS).filter(|celsius| *celsius != 0.0);
    let scaled = || within(object.get("gpu_usage")?.get(1)?.as_f64()?, RATIO);
    HelperReading {
        gpu_utilization: top("gpu_active_ratio", RATIO).or_else(scaled),
        gpu_power_watts: top("gpu_power", WATTS),
        cpu_power_watts: top("cpu_power", WATTS),
        cpu_celsius: celsius("cpu_temp_avg"),
        gpu_celsius: celsius("gpu_temp_avg"),
        ..HelperReading::default()
    }
}

/// A name becomes the value of a label.
fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && !text.contains(char::is_control)
}

type Range = (f64, f64);
const RATIO: Range = (0.0, 1.0);
const PERCENT: Range = (0.0, 100.0);
const CELSIUS: Range = (-50.0, 150.0);
const WATTS: Range = (0.0, 10_000.0);
const MILLIWATTS: Range = (0.0, 10_000_000.0);
/// A kilowatt for 300 years.
const JOULES: Range = (0.0, 1e13);

fn within(number: f64, (least, most): Range) -> Option<f64> {
    (least..=most).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_form_has_milliwatts_and_percent_and_a_zero_is_a_zero() {
        let body = br#"{"gpu_utilization": 42.5, "gpu_power": 8500, "cpu_power": 0.0, "cpu_temperature": 61.5,
            "memory_pressure": 12, "thermal_pressure": "Nominal", "timestamp": 1700000000.5, "version": "0.1.0",
            "gpu_name": "M4", "new_key": [1]}"#;
        let reading = parse_answer(body).expect("it parses");
        assert_eq!(reading.gpu_utilization, Some(0.425));
        assert_eq!((reading.gpu_power_watts, reading.cpu_power_watts), (Some(8.5), Some(0.0)));
        assert_eq!((reading.memory_pressure, reading.cpu_celsius), (Some(0.12), Some(61.5)));
        assert_eq!(reading.thermal_pressure, Some(ThermalPressure::Nominal));
        assert_eq!((reading.timestamp, reading.gpu_celsius), (Some(1_700_000_000.5), None));
        assert_eq!(reading.gpu().map(|gpu| gpu.name).as_deref(), Some("M4"));
    }

    #[test]
    fn only_the_initial_values_of_an_older_helper_are_unknown() {
        let first = br#"{"gpu_utilization": 0.0, "gpu_power": 0.0, "cpu_power": 0.0, "cpu_temperature": 0.0,
            "memory_pressure": 0.0, "thermal_pressure": "nominal", "timestamp": 1700000000.5}"#;
        assert_eq!(parse_answer(first), None, "nothing was measured");
        let later = br#"{"gpu_utilization": 25.0, "gpu_power": 0.0, "cpu_power": 1500, "cpu_temperature": 0.0,
            "memory_pressure": 40.0, "thermal_pressure": "Nominal", "timestamp": 1700000000.5}"#;
        let expected = HelperReading {
            timestamp: Some(1_700_000_000.5),
            gpu_utilization: Some(0.25),
            cpu_power_watts: Some(1.5),
            memory_pressure: Some(0.4),
            thermal_pressure: Some(ThermalPressure::Nominal),
            ..HelperReading::default()
        };
        assert_eq!(parse_answer(later), Some(expected));
    }

    #[test]
    fn in_the_line_form_a_zero_is_unknown() {
        let reading = parse_answer(b"gpu_utilization: 12.5\r\ngpu_power: 0.0\ncpu_power: 1500\ncpu_temperature: 0.0\nthermal_pressure: Heavy\n").expect("it parses");
        assert_eq!((reading.gpu_utilization, reading.gpu_power_watts), (Some(0.125), None));
        assert_eq!((reading.cpu_power_watts, reading.cpu_celsius), (Some(1.5), None));
        assert_eq!(reading.thermal_pressure, Some(ThermalPressure::Heavy));
    }

    #[test]
    fn macmon_has_watts_and_ratios() {
        let body = br#"{"timestamp":"2025-02-24T20:38:15.427569+00:00","temp":{"cpu_temp_avg":43.5,"gpu_temp_avg":0.0},
            "gpu_active_ratio":0.25,"gpu_scaled_ratio":0.125,"cpu_power":0.25,"gpu_power":0.5,"ane_power":0.0}"#;
        let reading = parse_answer(body).expect("it parses");
        assert_eq!((reading.cpu_power_watts, reading.gpu_power_watts), (Some(0.25), Some(0.5)));
        assert_eq!((reading.gpu_utilization, reading.cpu_celsius, reading.gpu_celsius), (Some(0.25), Some(43.5), None));
        assert_eq!(reading.timestamp, None);
        let old = parse_answer(br#"{"temp":{"cpu_temp_avg":40},"gpu_usage":[461,0.5]}"#).expect("it parses");
        assert_eq!(old.gpu_utilization, Some(0.5));
    }

    #[test]
    fn implausible_numbers_of_a_helper_are_unknown() {
        let body = br#"{"gpu_utilization": 101, "gpu_power": -1, "cpu_power": 1e99, "cpu_temperature": "hot",
            "memory_pressure": null, "thermal_pressure": 7, "timestamp": -5, "gpu_temperature": 50, "gpu_name": "a\u0000"}"#;
        let reading = parse_answer(body).expect("one of them can be");
        assert_eq!(reading, HelperReading { gpu_celsius: Some(50.0), ..HelperReading::default() });
    }

    #[test]
    fn an_answer_of_another_kind_or_without_facts_is_refused() {
        for body in [
            "",
            r#"{"gpu_name": "M4", "version": "1"}"#,
            "[]",
            "7",
            "null",
            "{}",
            r#"{"timestamp": 5}"#,
            "<html>: </html>",
            "# HELP x y\nx 1\n",
            r#"{"temp":{}}"#,
            "\u{0}",
            "gpu_power: nan",
            "cpu_power: inf",
        ] {
            assert_eq!(parse_answer(body.as_bytes()), None, "{body}");
        }
        assert_eq!(parse_answer(&[0xff, 0xfe]), None);
    }

    #[test]
    fn no_cut_and_no_changed_byte_makes_it_panic() {
        let whole =
            br#"{"gpu_utilization": 42.5, "temp": {"cpu_temp_avg": 43.5}, "gpu_usage": [461, 0.5], "cpu_power": 1e3}"#;
        for cut in 0..=whole.len() {
            let _ = parse_answer(&whole[..cut]);
            for byte in [0, b'"', b'{', b'[', b':', b'9', b'-', 0xff] {
                let mut changed = whole.to_vec();
                if let Some(at) = changed.get_mut(cut) {
                    *at = byte;
                }
                let _ = parse_answer(&changed);
            }
        }
        assert_eq!(parse_answer("[".repeat(100_000).as_bytes()), None);
    }
}
