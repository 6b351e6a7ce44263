//! What a scrape costs at the cap. Run by hand, with `--release`: a debug build says nothing about it.

use super::*;

#[test]
#[ignore = "a measurement; cargo test --release --lib metrics::tests::cost -- --ignored --nocapture"]
fn a_scrape_of_two_thousand_histograms_a_family() {
    for models in [100, 2_000] {
        let metrics = metrics_with(settings(), Catalogue::new(2_000));
        for model in 0..models {
            complete(&metrics, &format!("registry.example/library/model-{model}:8b"), &full_chat());
        }
        for format in [Format::Text, Format::OpenMetrics] {
            let took = |_| {
                let begun = Instant::now();
                let page = metrics.encode(format);
                (begun.elapsed(), page.len())
            };
            let (fastest, bytes) = (0..10).map(took).min().unwrap();
            let histograms = String::from_utf8(metrics.encode(format)).unwrap().matches("le=\"+Inf\"").count();
            let page = metrics.encode(format);
            let begun = Instant::now();
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            std::io::Write::write_all(&mut gzip, &page).unwrap();
            let (zipped, zip) = (gzip.finish().unwrap().len(), begun.elapsed());
            println!("  gzip: {zipped} bytes in {zip:?}");
            println!("{format:?}: {histograms} histograms, {bytes} bytes in {fastest:?}");
        }
    }
}
