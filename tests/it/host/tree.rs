//! Made-up /proc and /sys trees.

use std::path::{Path, PathBuf};

/// A tree of one test's own; dropping it removes it.
pub(super) struct Tree(PathBuf);

impl Tree {
    /// With an empty `proc` and an empty `sys`.
    pub(super) fn empty(name: &str) -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("host-{name}-{}", std::process::id()));
        for part in ["proc", "sys"] {
            std::fs::create_dir_all(root.join(part)).expect("it can be made");
        }
        Self(root)
    }

    /// A server with two processors, RAID over two disks, AMD GPUs and Ollama with one model.
    pub(super) fn linux(name: &str) -> Self {
        let tree = Self::empty(name);
        tree.processors();
        tree.devices();
        tree.sensors();
        tree.gpus();
        tree.process(10, "/usr/local/bin/ollama\0serve\0", 100, 40_960);
        tree.process(11, "/usr/local/bin/ollama\0runner\0--model\0x\0", 5_000, 8_388_608);
        tree.process(12, "ollama\0run\0llama3\0", 50, 20_480);
        tree.process(13, "", 0, 0);
        tree
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("it can be made");
        std::fs::write(path, text).expect("it can be written");
    }

    pub(super) fn remove(&self, path: &str) {
        std::fs::remove_file(self.path(path)).expect("it is there");
    }

    /// 100 ticks of each processor pass, of which 25 and 50 idle.
    pub(super) fn cpu_works(&self) {
        self.write("proc/stat", "cpu  225 0 100 775 100 0 0 0 0 0\ncpu0 1 1 1 1 1\ncpu1 1 1 1 1 1\nintr 5\n");
    }

    /// Each disk writes 2,000 sectors in 20 operations and reads nothing.
    pub(super) fn disks_work(&self) {
        self.diskstats(2000, 20);
    }

    /// The runner computes for three seconds.
    pub(super) fn runner_works(&self) {
        self.process(11, "/usr/local/bin/ollama\0runner\0--model\0x\0", 5_300, 8_388_608);
    }

    fn processors(&self) {
        self.write("proc/stat", "cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 1 1 1 1 1\ncpu1 1 1 1 1 1\nintr 5\n");
        self.write("proc/loadavg", "1.50 0.75 0.25 2/345 6789\n");
        self.write(
            "proc/meminfo",
            "MemTotal: 65536000 kB\nMemFree: 1000 kB\nMemAvailable: 49152000 kB\nSwapTotal: 8192 kB\nSwapFree: 8192 kB\n",
        );
        let stall = |total: u64| format!("some avg10=25.00 avg60=1.00 avg300=0.50 total={total}\n");
        self.write("proc/pressure/cpu", &stall(1_500_000));
        self.write(
            "proc/pressure/memory",
            &(stall(2_500_000) + "full avg10=5.00 avg60=0.00 avg300=0.00 total=250000\n"),
        );
        self.write("proc/pressure/io", &stall(3_500_000));
    }

    fn devices(&self) {
        self.diskstats(0, 0);
        for device in ["sda", "nvme0n1", "md0", "loop0"] {
            self.write(&format!("sys/block/{device}/size"), "1\n");
        }
        self.write("sys/block/md0/slaves/sda/size", "1\n");
        self.write(
            "proc/net/dev",
            "Inter-|   Receive    |  Transmit\n face |bytes    packets\n    lo: 5 1 0 0 0 0 0 0 5 1 0 0 0 0 0 0\n\
             eth0: 4096 1 0 0 0 0 0 0 1024 1 0 0 0 0 0 0\n veth12: 7 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0\n",
        );
    }

    fn diskstats(&self, sectors: u64, operations: u64) {
        let line = |device: &str| {
            let (written, writes) = (1000 + sectors, 50 + operations);
            format!("   8       0 {device} 100 5 2000 30 {writes} 5 {written} 30 0 60 60 0 0 0 0 0 0\n")
        };
        let text: String = ["sda", "sda1", "nvme0n1", "md0", "loop0"].into_iter().map(line).collect();
        self.write("proc/diskstats", &text);
    }

    fn sensors(&self) {
        for (chip, name, sensors) in [
            ("hwmon0", "nvme", &[("temp1", "Composite", "41850")][..]),
            ("hwmon1", "k10temp", &[("temp1", "Tctl", "66500"), ("temp3", "Tccd1", "60000")]),
            ("hwmon2", "nct6775", &[("temp2", "", "-128000")]),
        ] {
            self.write(&format!("sys/class/hwmon/{chip}/name"), &format!("{name}\n"));
            for (sensor, label, value) in sensors {
                self.write(&format!("sys/class/hwmon/{chip}/{sensor}_input"), &format!("{value}\n"));
                if !label.is_empty() {
                    self.write(&format!("sys/class/hwmon/{chip}/{sensor}_label"), &format!("{label}\n"));
                }
            }
        }
    }

    fn gpus(&self) {
        for (card, busy, microwatts) in [("card0", 50, 210_000_000_u64), ("card1", 100, 100_000_000)] {
            let device = format!("sys/class/drm/{card}/device");
            for (file, text) in [
                ("vendor", "0x1002".to_owned()),
                ("unique_id", format!("{card}-7f3a")),
                ("product_name", "Radeon RX 7900 XTX".to_owned()),
                ("gpu_busy_percent", busy.to_string()),
                ("mem_info_vram_used", "8589934592".to_owned()),
                ("mem_info_vram_total", "25753026560".to_owned()),
                ("hwmon/hwmon5/power1_average", microwatts.to_string()),
                ("hwmon/hwmon5/temp1_input", "58000".to_owned()),
            ] {
                self.write(&format!("{device}/{file}"), &(text + "\n"));
            }
        }
        self.write("sys/class/drm/card0-DP-1/status", "connected\n");
        self.write("sys/class/drm/card2/device/vendor", "0x8086\n");
    }

    fn process(&self, pid: u32, command_line: &str, ticks: u64, kibibytes: u64) {
        let folder = format!("proc/{pid}");
        self.write(&format!("{folder}/cmdline"), command_line);
        let stat = format!("{pid} (a (b) c) S 1 1 1 0 -1 0 0 0 0 0 {ticks} 0 0 0 20 0 1 0 500 0 0\n");
        self.write(&format!("{folder}/stat"), &stat);
        self.write(&format!("{folder}/status"), &format!("Name:\tx\nVmRSS:\t{kibibytes} kB\n"));
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
