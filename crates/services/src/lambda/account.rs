//! GetAccountSettings.

use base::limits::{UNZIPPED_BYTES, ZIP_BYTES};
use wire::lambda as api;

use super::Lambda;
use super::concurrency::shown;
use super::errors::Failure;
use crate::Context;

impl Lambda {
    pub(super) async fn get_account_settings(
        &self,
        context: &Context,
        _: api::GetAccountSettingsRequest,
    ) -> Result<api::GetAccountSettingsResponse, Failure> {
        let (usage, limit) = (self.parts.catalogue.usage(&context.scope), self.parts.account_concurrency);
        let unreserved = u64::from(limit.0).saturating_sub(usage.reserved);
        let limits = api::AccountLimit {
            total_code_size: long(self.parts.catalogue.code_storage()),
            code_size_unzipped: long(UNZIPPED_BYTES),
            code_size_zipped: long(ZIP_BYTES as u64),
            concurrent_executions: Some(shown(limit)),
            unreserved_concurrent_executions: i32::try_from(unreserved).ok(),
        };
        let used =
            api::AccountUsage { total_code_size: long(usage.code), function_count: long(usage.functions) };
        Ok(api::GetAccountSettingsResponse { account_limit: Some(limits), account_usage: Some(used) })
    }
}

fn long(number: u64) -> Option<i64> {
    i64::try_from(number).ok()
}
