//! The account's limits and use.

use wire::error::ServiceError;
use wire::lambda as api;

use super::Lambda;
use super::errors::Failure;
use crate::Context;

impl Lambda {
    pub(super) async fn get_account_settings(
        &self,
        _: &Context,
        _: api::GetAccountSettingsRequest,
    ) -> Result<api::GetAccountSettingsResponse, Failure> {
        Err(Failure(ServiceError::not_built("GetAccountSettings")))
    }
}
