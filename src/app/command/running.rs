//! How the running program is asked.

use crate::admin::access;
use crate::app::AppError;
use crate::config::Config;
use crate::tls::FileError;

/// Whether its second listener speaks TLS.
pub(super) fn admin_tls(config: &Config) -> Result<bool, FileError> {
    Ok(config.admin_web_config_file.as_deref().map(access::wants_tls).transpose()?.unwrap_or(false))
}

/// Asks on a runtime of its own.
pub(super) fn block_on<T>(work: impl Future<Output = T>) -> Result<T, AppError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(AppError::System)?;
    Ok(runtime.block_on(work))
}
