#!/usr/bin/env python3
"""Compares every family of NVIDIA's cards that the program exposes with what nvidia-smi prints.

Starts the program without traffic, asks nvidia-smi, scrapes, and asks nvidia-smi again: a figure agrees if it lies
between the two answers, give or take the tolerance of its kind. What disagrees is tried again, because clocks and loads
move. Ends with 0 where all agrees, 1 where something differs or is missing, and 2 where there is no card to ask.

Usage: gpu_check.py --program PATH [--nvidia-smi PATH] [--rounds N]
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
import xml.etree.ElementTree as tree

PREFIX = "ollama_proxy_"
START_WITHIN = 30.0
"""Seconds until a program that shows no card is given up."""
BETWEEN_READINGS = 1.2
"""Seconds after which the program, which reads every second, has read again."""

MIB = 1 << 20
NOT_PRINTED = "nvidia-smi does not print it"


def number(text):
    """The first number of a text; None for `N/A` and its like."""
    found = re.search(r"-?\d+(?:\.\d+)?", text or "")
    return float(found[0]) if found and "N/A" not in text else None


def said(text, yes, no):
    """1 or 0 for two words, None for any other."""
    text = (text or "").strip().lower()
    return 1.0 if text in yes else 0.0 if text in no else None


def total(values):
    """Their sum; None where none is known."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


class Card:
    """What `nvidia-smi -q -x` prints of one card."""

    def __init__(self, element, root, instances, links):
        self.element, self.root, self.instances, self.links = element, root, instances, links
        self.uuid = self.text("uuid")

    def text(self, *paths):
        """The text of the first of these elements that is there."""
        for path in paths:
            found = self.element.find(path)
            if found is not None and found.text:
                return found.text.strip()
        return None

    def number(self, *paths, scale=1.0):
        value = number(self.text(*paths))
        return None if value is None else value * scale

    def reason(self, name):
        """Whether a reason for low clocks is active. Newer drivers call them events."""
        paths = [f"clocks_event_reasons/clocks_event_reason_{name}", f"clocks_throttle_reasons/clocks_throttle_reason_{name}"]
        return said(self.text(*paths), ["active"], ["not active"])

    def ecc(self, when, severity):
        kinds = {
            "corrected": ["sram_correctable", "dram_correctable"],
            "uncorrected": ["sram_uncorrectable", "sram_uncorrectable_parity", "sram_uncorrectable_secded", "dram_uncorrectable"],
        }
        old = {"corrected": "single_bit/total", "uncorrected": "double_bit/total"}
        new = total(self.number(f"ecc_errors/{when}/{kind}") for kind in kinds[severity])
        return self.number(f"ecc_errors/{when}/{old[severity]}") if new is None else new

    def processes(self):
        return self.element.findall("processes/process_info")

    def per_instance(self, what):
        """Bytes of each instance's memory, by its UUID."""
        values = {}
        for instance in self.element.findall("mig_devices/mig_device"):
            uuid = self.instances.get((self.uuid, (instance.findtext("index") or "").strip()))
            size = number(instance.findtext(f"fb_memory_usage/{what}"))
            if uuid and size is not None:
                values[("mig_uuid", uuid),] = size * MIB
        return values


def plain(value):
    """One figure without labels of its own."""
    return {} if value is None else {(): value}


def labelled(label, values):
    return {((label, name),): value for name, value in values.items() if value is not None}


REASONS = {
    "idle": "gpu_idle",
    "application_clocks": "applications_clocks_setting",
    "power_cap": "sw_power_cap",
    "hardware_slowdown": "hw_slowdown",
    "sync_boost": "sync_boost",
    "software_thermal": "sw_thermal_slowdown",
    "hardware_thermal": "hw_thermal_slowdown",
    "power_brake": "hw_power_brake_slowdown",
    "display": "display_clocks_setting",
}
CLOCKS = {"graphics": "graphics_clock", "sm": "sm_clock", "memory": "mem_clock", "video": "video_clock"}
LIMITS = {
    "shutdown": "gpu_temp_max_threshold",
    "slowdown": "gpu_temp_slow_threshold",
    "operating": "gpu_temp_max_gpu_threshold",
    "memory": "gpu_temp_max_mem_threshold",
}
LINK = "pci/pci_gpu_link_info"
POWER = ["gpu_power_readings/power_draw", "gpu_power_readings/instant_power_draw", "gpu_power_readings/average_power_draw", "power_readings/power_draw"]
POWER_LIMIT = ["gpu_power_readings/current_power_limit", "power_readings/enforced_power_limit", "power_readings/power_limit"]

EXACT = (0.0, 0.0)
"""Tolerances: a share of the value, and an absolute part."""
ROUNDED_MIB = (0.0, MIB)
MOVES = (0.15, 0.1)
MOVES_MUCH = (0.25, 25.0)


def memory(card, what, scale=float(MIB)):
    return card.number(f"fb_memory_usage/{what}", scale=scale)


def frame_buffer(card, what):
    """In MiB. A card that is cut into instances has none of its own, as with DCGM."""
    return None if yes(card.text("mig_mode/current_mig")) else memory(card, what, 1.0)


def yes(text):
    return said(text, ["yes", "enabled"], ["no", "disabled"])


# Each family: what nvidia-smi prints of it, in the family's unit, and how near that must be. None: it prints nothing.
FAMILIES = {
    "gpu_up": (lambda c: plain(1.0), EXACT),
    "gpu_info": (lambda c: {(("pci_bus_id", c.text("pci/pci_bus_id")), ("driver", c.root.findtext("driver_version")), ("cuda", c.root.findtext("cuda_version"))): 1.0}, EXACT),
    "gpu_utilization_ratio": (lambda c: plain(c.number("utilization/gpu_util", scale=0.01)), (0.25, 0.2)),
    "gpu_memory_busy_ratio": (lambda c: plain(c.number("utilization/memory_util", scale=0.01)), (0.25, 0.2)),
    "gpu_encoder_utilization_ratio": (lambda c: plain(c.number("utilization/encoder_util", scale=0.01)), (0.25, 0.2)),
    "gpu_decoder_utilization_ratio": (lambda c: plain(c.number("utilization/decoder_util", scale=0.01)), (0.25, 0.2)),
    "gpu_memory_used_bytes": (lambda c: plain(memory(c, "used")), (0.02, 64.0 * MIB)),
    "gpu_memory_total_bytes": (lambda c: plain(memory(c, "total")), ROUNDED_MIB),
    "gpu_memory_reserved_bytes": (lambda c: plain(memory(c, "reserved")), (0.02, 4.0 * MIB)),
    "gpu_power_watts": (lambda c: plain(c.number(*POWER)), MOVES_MUCH),
    "gpu_power_limit_watts": (lambda c: plain(c.number(*POWER_LIMIT)), (0.0, 0.01)),
    "gpu_temperature_celsius": (lambda c: plain(c.number("temperature/gpu_temp")), (0.0, 3.0)),
    "gpu_memory_temperature_celsius": (lambda c: plain(c.number("temperature/memory_temp")), (0.0, 3.0)),
    "gpu_temperature_limit_celsius": (lambda c: labelled("limit", {name: c.number(f"temperature/{path}") for name, path in LIMITS.items()}), EXACT),
    "gpu_fan_speed_ratio": (lambda c: plain(c.number("fan_speed", scale=0.01)), (0.1, 0.05)),
    "gpu_clock_hertz": (lambda c: labelled("clock", {name: c.number(f"clocks/{path}", scale=1e6) for name, path in CLOCKS.items()}), (0.15, 3e7)),
    "gpu_clock_max_hertz": (lambda c: labelled("clock", {name: c.number(f"max_clocks/{path}", scale=1e6) for name, path in CLOCKS.items()}), EXACT),
    "gpu_performance_state": (lambda c: plain(c.number("performance_state")), (0.0, 0.0)),
    "gpu_throttled": (lambda c: labelled("reason", {name: c.reason(path) for name, path in REASONS.items()}), EXACT),
    "gpu_ecc_enabled": (lambda c: plain(yes(c.text("ecc_mode/current_ecc"))), EXACT),
    "gpu_ecc_errors_total": (lambda c: labelled("severity", {it: c.ecc("aggregate", it) for it in ["corrected", "uncorrected"]}), EXACT),
    "gpu_ecc_errors_since_load_total": (lambda c: labelled("severity", {it: c.ecc("volatile", it) for it in ["corrected", "uncorrected"]}), EXACT),
    "gpu_remapped_rows_total": (lambda c: labelled("severity", {"corrected": c.number("remapped_rows/remapped_row_corr"), "uncorrected": c.number("remapped_rows/remapped_row_unc")}), EXACT),
    "gpu_row_remap_pending": (lambda c: plain(yes(c.text("remapped_rows/remapped_row_pending"))), EXACT),
    "gpu_row_remap_failed": (lambda c: plain(yes(c.text("remapped_rows/remapped_row_failure"))), EXACT),
    "gpu_retired_pages_total": (lambda c: labelled("severity", {"corrected": c.number("retired_pages/multiple_single_bit_retirement/retired_count"), "uncorrected": c.number("retired_pages/double_bit_retirement/retired_count")}), EXACT),
    "gpu_page_retirement_pending": (lambda c: plain(yes(c.text("retired_pages/pending_retirement", "retired_pages/pending_blacklist"))), EXACT),
    "gpu_pcie_link_generation": (lambda c: plain(c.number(f"{LINK}/pcie_gen/current_link_gen")), EXACT),
    "gpu_pcie_link_generation_max": (lambda c: plain(c.number(f"{LINK}/pcie_gen/max_link_gen")), EXACT),
    "gpu_pcie_link_lanes": (lambda c: plain(c.number(f"{LINK}/link_widths/current_link_width")), EXACT),
    "gpu_pcie_link_lanes_max": (lambda c: plain(c.number(f"{LINK}/link_widths/max_link_width")), EXACT),
    "gpu_pcie_replays_total": (lambda c: plain(c.number("pci/replay_counter")), EXACT),
    # Of the last 20 ms only.
    "gpu_pcie_bytes_per_second": (lambda c: labelled("direction", {"sent": c.number("pci/tx_util", scale=1e3), "received": c.number("pci/rx_util", scale=1e3)}), (10.0, 1e8)),
    "gpu_nvlink_up": (lambda c: labelled("link", {link: up for link, (up, _) in c.links.items()}), EXACT),
    "gpu_nvlink_errors_total": (lambda c: {(("link", link), ("kind", kind)): value for link, (_, errors) in c.links.items() for kind, value in errors.items()}, EXACT),
    # Whose they are, nvidia-smi cannot say: all roles together.
    "gpu_processes": (lambda c: plain(float(len(c.processes()))), EXACT),
    "gpu_process_memory_bytes": (lambda c: plain(total(number(it.findtext("used_memory")) for it in c.processes()) and total(number(it.findtext("used_memory")) for it in c.processes()) * MIB), (0.02, 16.0 * MIB)),
    "gpu_mig_enabled": (lambda c: plain(yes(c.text("mig_mode/current_mig"))), EXACT),
    "gpu_mig_memory_used_bytes": (lambda c: c.per_instance("used"), (0.02, 16.0 * MIB)),
    "gpu_mig_memory_total_bytes": (lambda c: c.per_instance("total"), ROUNDED_MIB),
    "gpu_energy_joules_total": None,
    "gpu_throttled_seconds_total": None,
    "gpu_last_xid": None,
    "gpu_xid_errors_total": None,
    "inference_process_gpu_memory_bytes": None,
    "gpu_active_residency_percent": None,
    "gpu_power_milliwatts": None,
    # The same facts in DCGM's units.
    "DCGM_FI_DEV_GPU_UTIL": (lambda c: plain(c.number("utilization/gpu_util")), MOVES_MUCH),
    "DCGM_FI_DEV_MEM_COPY_UTIL": (lambda c: plain(c.number("utilization/memory_util")), MOVES_MUCH),
    "DCGM_FI_DEV_ENC_UTIL": (lambda c: plain(c.number("utilization/encoder_util")), MOVES_MUCH),
    "DCGM_FI_DEV_DEC_UTIL": (lambda c: plain(c.number("utilization/decoder_util")), MOVES_MUCH),
    "DCGM_FI_DEV_FB_USED": (lambda c: plain(frame_buffer(c, "used")), (0.02, 64.0)),
    "DCGM_FI_DEV_FB_FREE": (lambda c: plain(frame_buffer(c, "free")), (0.02, 64.0)),
    "DCGM_FI_DEV_FB_TOTAL": (lambda c: plain(frame_buffer(c, "total")), (0.0, 1.0)),
    "DCGM_FI_DEV_FB_RESERVED": (lambda c: plain(frame_buffer(c, "reserved")), (0.02, 4.0)),
    "DCGM_FI_DEV_GPU_TEMP": (lambda c: plain(c.number("temperature/gpu_temp")), (0.0, 3.0)),
    "DCGM_FI_DEV_MEMORY_TEMP": (lambda c: plain(c.number("temperature/memory_temp")), (0.0, 3.0)),
    "DCGM_FI_DEV_POWER_USAGE": (lambda c: plain(c.number(*POWER)), MOVES_MUCH),
    "DCGM_FI_DEV_POWER_MGMT_LIMIT": (lambda c: plain(c.number(*POWER_LIMIT)), (0.0, 0.01)),
    "DCGM_FI_DEV_FAN_SPEED": (lambda c: plain(c.number("fan_speed")), (0.1, 5.0)),
    "DCGM_FI_DEV_SM_CLOCK": (lambda c: plain(c.number("clocks/sm_clock")), (0.15, 30.0)),
    "DCGM_FI_DEV_MEM_CLOCK": (lambda c: plain(c.number("clocks/mem_clock")), (0.15, 30.0)),
    "DCGM_FI_DEV_PSTATE": (lambda c: plain(c.number("performance_state")), EXACT),
    "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL": (lambda c: plain(c.ecc("volatile", "corrected")), EXACT),
    "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL": (lambda c: plain(c.ecc("volatile", "uncorrected")), EXACT),
    "DCGM_FI_DEV_ECC_SBE_AGG_TOTAL": (lambda c: plain(c.ecc("aggregate", "corrected")), EXACT),
    "DCGM_FI_DEV_ECC_DBE_AGG_TOTAL": (lambda c: plain(c.ecc("aggregate", "uncorrected")), EXACT),
    "DCGM_FI_DEV_RETIRED_SBE": (lambda c: plain(c.number("retired_pages/multiple_single_bit_retirement/retired_count")), EXACT),
    "DCGM_FI_DEV_RETIRED_DBE": (lambda c: plain(c.number("retired_pages/double_bit_retirement/retired_count")), EXACT),
    "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS": (lambda c: plain(c.number("remapped_rows/remapped_row_corr")), EXACT),
    "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS": (lambda c: plain(c.number("remapped_rows/remapped_row_unc")), EXACT),
    "DCGM_FI_DEV_ROW_REMAP_PENDING": (lambda c: plain(yes(c.text("remapped_rows/remapped_row_pending"))), EXACT),
    "DCGM_FI_DEV_ROW_REMAP_FAILURE": (lambda c: plain(yes(c.text("remapped_rows/remapped_row_failure"))), EXACT),
    "DCGM_FI_DEV_PCIE_LINK_GEN": (lambda c: plain(c.number(f"{LINK}/pcie_gen/current_link_gen")), EXACT),
    "DCGM_FI_DEV_PCIE_MAX_LINK_GEN": (lambda c: plain(c.number(f"{LINK}/pcie_gen/max_link_gen")), EXACT),
    "DCGM_FI_DEV_PCIE_LINK_WIDTH": (lambda c: plain(c.number(f"{LINK}/link_widths/current_link_width")), EXACT),
    "DCGM_FI_DEV_PCIE_MAX_LINK_WIDTH": (lambda c: plain(c.number(f"{LINK}/link_widths/max_link_width")), EXACT),
    "DCGM_FI_DEV_PCIE_REPLAY_COUNTER": (lambda c: plain(c.number("pci/replay_counter")), EXACT),
    "DCGM_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL": (lambda c: plain(total(errors.get("replay") for _, errors in c.links.values())), EXACT),
    "DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL": (lambda c: plain(total(errors.get("recovery") for _, errors in c.links.values())), EXACT),
    "DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL": (lambda c: plain(total(errors.get("crc_flit") for _, errors in c.links.values())), EXACT),
    "DCGM_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL": None,
    "DCGM_FI_DEV_CLOCK_THROTTLE_REASONS": None,
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": None,
    "DCGM_FI_DEV_XID_ERRORS": None,
}

OURS = ("gpu_uuid", "UUID")
SUMMED = ("gpu_processes", "gpu_process_memory_bytes")
"""Families of which only the sum over their own labels can be compared."""


def smi(program, *arguments):
    """What it prints; nothing where it does not know the question."""
    try:
        asked = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return asked.stdout if asked.returncode == 0 else None


def cards(program):
    """Every card by its UUID, as nvidia-smi prints it now."""
    printed = smi(program, "-q", "-x")
    if not printed:
        return {}
    root = tree.fromstring(printed)
    instances, uuid = {}, None
    for line in (smi(program, "-L") or "").splitlines():
        if found := re.match(r"GPU \d+: .*\(UUID: (\S+)\)", line):
            uuid = found[1]
        elif found := re.match(r"\s+MIG .*Device\s+(\d+): \(UUID: (\S+)\)", line):
            instances[uuid, found[1]] = found[2]
    links = nvlinks(smi(program, "nvlink", "-s") or "", smi(program, "nvlink", "-e") or "")
    found = [Card(element, root, instances, {}) for element in root.findall("gpu")]
    for card in found:
        card.links = links.get(card.uuid, {})
    return {card.uuid: card for card in found}


def nvlinks(states, errors):
    """By card and link: whether it is up, and its errors by kind."""
    links, uuid = {}, None
    kinds = {"Replay": "replay", "Recovery": "recovery", "CRC": "crc_flit", "CRC FLIT": "crc_flit"}
    for line in states.splitlines() + errors.splitlines():
        if found := re.match(r"GPU \d+: .*\(UUID: (\S+)\)", line):
            uuid = found[1]
        elif found := re.match(r"\s+Link (\d+): ([\w ]+?) Errors?: (\d+)", line):
            if found[2] in kinds:
                links[uuid].setdefault(found[1], (1.0, {}))[1][kinds[found[2]]] = float(found[3])
        elif found := re.match(r"\s+Link (\d+): (.*)", line):
            links.setdefault(uuid, {})[found[1]] = (0.0 if "inactive" in found[2] else 1.0, {})
    return links


def samples(exposition):
    """Every sample: its name, its labels, its value."""
    for line in exposition.splitlines():
        if found := re.match(r"([A-Za-z_:]\w*)\{(.*)\} (\S+)$", line):
            labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', found[2]))
            yield found[1].removeprefix(PREFIX), labels, float(found[3])
        elif found := re.match(r"([A-Za-z_:]\w*) (\S+)$", line):
            yield found[1].removeprefix(PREFIX), {}, float(found[2])


def ours(exposition, family, uuid, keys):
    """The values of a card's series by the labels that nvidia-smi's figures have; instances are not the card."""
    values = {}
    for name, labels, value in samples(exposition):
        is_instance = labels.get("GPU_I_ID") or labels.get("GPU_I_PROFILE")
        if name != family or is_instance or not any(labels.get(label) == uuid for label in OURS):
            continue
        key = () if family in SUMMED else tuple((label, labels.get(label)) for label in keys)
        values[key] = values.get(key, 0.0) + value if family in SUMMED else value
    return values


def compare(before, exposition, after):
    """A row for each figure: family, card, labels, ours, theirs, verdict."""
    shown = {name for name, *_ in samples(exposition) if name in FAMILIES or re.match(r"gpu_|DCGM_", name)}
    for family in sorted(shown - FAMILIES.keys()):
        yield family, "", (), None, (), "UNKNOWN to this check"
    for family, known in FAMILIES.items():
        if known is None:
            if family in shown:
                yield family, "", (), None, (), NOT_PRINTED
            continue
        printed, (share, absolute) = known
        for uuid in before.keys() & after.keys():
            first, second = printed(before[uuid]), printed(after[uuid])
            names = {name for key in (*first, *second) for name, _ in key}
            order = [name for name, _ in next(iter(first or second), ())]
            mine = ours(exposition, family, uuid, order if names else [])
            for key in dict.fromkeys((*first, *second, *mine)):
                theirs = [side[key] for side in (first, second) if key in side]
                have = mine.get(key)
                if not theirs:
                    verdict = "only ours"
                elif have is None:
                    verdict = "MISSING"
                else:
                    slack = share * max(abs(it) for it in theirs) + absolute
                    near = min(theirs) - slack - 1e-9 <= have <= max(theirs) + slack + 1e-9
                    verdict = "agrees" if near else "DIFFERS"
                yield family, uuid, key, have, theirs, verdict


def scraped(address):
    with urllib.request.urlopen(address, timeout=10) as answer:
        return answer.read().decode()


class Program:
    """The program, reading the machine every second, with nothing to do."""

    def __init__(self, path):
        self.folder = tempfile.TemporaryDirectory()
        config = os.path.join(self.folder.name, "inferometer.toml")
        with open(config, "w", encoding="utf-8") as file:
            file.write('[host]\nperiod = "1s"\n')
        arguments = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--backend", "127.0.0.1:9", "--config", config]
        self.log = open(os.path.join(self.folder.name, "log"), "w+", encoding="utf-8")
        self.process = subprocess.Popen([path, *arguments], stderr=self.log, stdout=self.log)

    def address(self):
        """Where it is scraped, once it shows a card."""
        end = time.monotonic() + START_WITHIN
        while time.monotonic() < end and self.process.poll() is None:
            with open(self.log.name, encoding="utf-8") as log:
                found = re.search(r"http://127\.0\.0\.1:\d+/metrics", log.read())
            if found and "\nollama_proxy_gpu_up{" in scraped(found[0]):
                return found[0]
            time.sleep(0.1)
        with open(self.log.name, encoding="utf-8") as log:
            sys.exit(f"the program shows no card that nvidia-smi shows:\n{log.read()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.log.close()
        self.folder.cleanup()


def row(family, uuid, key, have, theirs, verdict):
    label = ",".join(str(value) for _, value in key)[:40]
    figures = " … ".join(f"{it:g}" for it in dict.fromkeys(theirs))
    return f"{family:<46}{uuid[:12]:<13}{label:<41}{'' if have is None else f'{have:g}':>14} {figures:>20}  {verdict}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--nvidia-smi", default="nvidia-smi")
    parser.add_argument("--rounds", type=int, default=10)
    chosen = parser.parse_args()
    if not cards(chosen.nvidia_smi):
        print("nvidia-smi shows no card here: nothing was compared", file=sys.stderr)
        return 2
    agreed, rows = set(), {}
    with Program(chosen.program) as program:
        address = program.address()
        for _ in range(chosen.rounds):
            before = cards(chosen.nvidia_smi)
            time.sleep(BETWEEN_READINGS)
            exposition = scraped(address)
            for found in compare(before, exposition, cards(chosen.nvidia_smi)):
                if found[:3] not in agreed:
                    rows[found[:3]] = found
                    if not found[5][:2].isupper():
                        agreed.add(found[:3])
            if len(agreed) == len(rows):
                break
    print(f"{'family':<46}{'card':<13}{'labels':<41}{'ours':>14} {'nvidia-smi':>20}  verdict")
    for found in rows.values():
        print(row(*found))
    count = {verdict: sum(found[5] == verdict for found in rows.values()) for verdict in dict.fromkeys(found[5] for found in rows.values())}
    print("\n" + ", ".join(f"{number} {verdict}" for verdict, number in count.items()))
    return 0 if len(agreed) == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
