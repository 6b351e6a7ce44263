//! What the driver's library offers on Linux alone; elsewhere the answer is that it is not supported.

use nvml_wrapper::Device;
#[cfg(target_os = "linux")]
use nvml_wrapper::bitmasks::event::EventTypes;
use nvml_wrapper::error::{NvmlError, NvmlErrorWithSource};
use nvml_wrapper::event::EventSet;

/// The number of the card's device file, `/dev/nvidiaN`.
#[cfg(target_os = "linux")]
pub(super) fn minor_number(device: &Device<'_>) -> Result<u32, NvmlError> {
    device.minor_number()
}

/// Whether the card reports XIDs as events.
#[cfg(target_os = "linux")]
pub(super) fn reports_xids(device: &Device<'_>) -> bool {
    let reports = |types: EventTypes| types.contains(EventTypes::CRITICAL_XID_ERROR);
    device.supported_event_types().is_ok_and(reports)
}

/// Adds the card's XIDs to a set of events. A failure drops the set.
#[cfg(target_os = "linux")]
pub(super) fn register_xids<'nvml>(
    device: &Device<'nvml>,
    set: EventSet<'nvml>,
) -> Result<EventSet<'nvml>, NvmlErrorWithSource> {
    device.register_events(EventTypes::CRITICAL_XID_ERROR, set)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn minor_number(_: &Device<'_>) -> Result<u32, NvmlError> {
    Err(NvmlError::NotSupported)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn reports_xids(_: &Device<'_>) -> bool {
    false
}

#[cfg(not(target_os = "linux"))]
pub(super) fn register_xids<'nvml>(
    _: &Device<'nvml>,
    _: EventSet<'nvml>,
) -> Result<EventSet<'nvml>, NvmlErrorWithSource> {
    Err(NvmlError::NotSupported.into())
}
