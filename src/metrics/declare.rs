//! The one way to declare families of metrics: [`families!`], a line a family.
//!
//! A line says where the values are held (or, where they are made at each scrape, of which [kind](super::spec::Kind)
//! they are), the name with its unit, the labels, the buckets of a histogram, and the help text:
//!
//! ```text
//! held:     duration: Family<TracedHistogram> = "ollama_proxy_request_duration_seconds" ["model"] buckets Duration "Time.";
//! scraped:  SWAP_USED: Gauge = "ollama_proxy_swap_used_bytes" [] "Swap space in use.";
//! ```
//!
//! From the lines follow the fields and their registration, the list of all [`Spec`]s (which the tables of
//! `docs/metrics.md` are compared with), the `# HELP`, `# TYPE` and `# UNIT` lines, and the caps on the number of series. A line that breaks a
//! naming rule is refused by the compiler ([`Spec::check`]).

use prometheus::IntCounter;

use super::buckets::EffectiveBounds;
use super::exposition::Registry;
use super::family::{Child, Family};
use super::spec::{Kind, Spec};
use super::table::Table;

/// Declares families, in one of two forms.
///
/// `struct Name { field: Holder = …; }` makes a struct that [holds](Holder) the families, its `SPECS` and its
/// `register`. `static LIST = [common labels] { ID: Kind = …; }` makes a static [`Spec`] for each line, whose labels are
/// the common ones and then its own, and the list of them.
macro_rules! families {
    ($(#[$doc:meta])* $visibility:vis struct $group:ident {
        $($field:ident: $holder:ty =
            $name:literal [$($label:literal),*] $(buckets $buckets:ident)? $help:literal;)+
    }) => {
        $(#[$doc])*
        $visibility struct $group {
            $($field: $holder,)+
        }

        impl $group {
            /// What is declared, in the order of the fields.
            pub(in crate::metrics) const SPECS: &'static [&'static $crate::metrics::spec::Spec] = &[$({
                const SPEC: $crate::metrics::spec::Spec = $crate::metrics::spec::Spec {
                    name: $name,
                    kind: <$holder as $crate::metrics::declare::Holder>::KIND,
                    labels: &[$($label),*],
                    help: $help,
                    buckets: $crate::metrics::declare::layout!($($buckets)?),
                };
                const { SPEC.check() };
                &SPEC
            }),+];

            pub(in crate::metrics) fn register(registrar: &$crate::metrics::declare::Registrar<'_>) -> Self {
                let mut specs = Self::SPECS.iter();
                // Fields are initialised in the order in which they are written.
                Self {
                    $($field: $crate::metrics::declare::Holder::register(
                        registrar,
                        specs.next().expect("there is one for each field"),
                    ),)+
                }
            }
        }
    };
    ($(#[$doc:meta])* $visibility:vis static $list:ident = $common:tt {
        $($id:ident: $kind:ident = $name:literal $labels:tt $help:literal;)+
    }) => {
        $(
            $visibility static $id: $crate::metrics::spec::Spec = {
                const SPEC: $crate::metrics::spec::Spec = $crate::metrics::spec::Spec {
                    name: $name,
                    kind: $crate::metrics::spec::Kind::$kind,
                    labels: $crate::metrics::declare::labels!($common $labels),
                    help: $help,
                    buckets: None,
                };
                const { SPEC.check() };
                SPEC
            };
        )+

        $(#[$doc])*
        $visibility static $list: &[&$crate::metrics::spec::Spec] = &[$(&$id),+];
    };
}

/// `Some` layout where one is named.
macro_rules! layout {
    () => {
        None
    };
    ($layout:ident) => {
        Some($crate::metrics::buckets::BucketLayout::$layout)
    };
}

/// Two lists of labels as one.
macro_rules! labels {
    ([$($common:literal),*] [$($own:literal),*]) => {
        &[$($common,)* $($own),*]
    };
}

pub(super) use {families, labels, layout};

/// Where families are registered, and how far they may grow.
pub(super) struct Registrar<'a> {
    pub(super) registry: &'a Registry,
    /// Most histograms of one name.
    pub(super) max_histograms: usize,
    /// Most counters or gauges of one name.
    pub(super) max_series: usize,
    /// Refused series, by metric name.
    pub(super) dropped: Family<IntCounter>,
    pub(super) bounds: &'a EffectiveBounds,
}

/// What a field of a group of families can be.
pub(super) trait Holder {
    const KIND: Kind;

    /// Gives the family its place on the page, and counts its refused series from 0.
    fn register(registrar: &Registrar<'_>, spec: &'static Spec) -> Self;
}

/// A series for each set of label values.
impl<C: Child> Holder for Family<C> {
    const KIND: Kind = C::KIND;

    fn register(registrar: &Registrar<'_>, spec: &'static Spec) -> Self {
        let cap = if C::KIND == Kind::Histogram { registrar.max_histograms } else { registrar.max_series };
        let dropped = registrar.dropped.child(&[spec.name]);
        Self::register(registrar.registry, spec, registrar.bounds.of(spec.buckets), cap, Some(dropped))
    }
}

/// One series without labels, present from the start.
impl<C: Child> Holder for C {
    const KIND: Kind = C::KIND;

    fn register(registrar: &Registrar<'_>, spec: &'static Spec) -> Self {
        <Family<C> as Holder>::register(registrar, spec).child(&[])
    }
}

/// Gauges that are replaced as a whole.
impl Holder for Table {
    const KIND: Kind = Kind::Gauge;

    fn register(registrar: &Registrar<'_>, spec: &'static Spec) -> Self {
        let dropped = registrar.dropped.child(&[spec.name]);
        Self::register(registrar.registry, spec, registrar.max_series, dropped)
    }
}
