//! Aliases.

use wire::error::ServiceError;
use wire::lambda as api;

use super::Lambda;
use super::errors::Failure;
use crate::Context;

impl Lambda {
    pub(super) async fn create_alias(
        &self,
        _: &Context,
        _: api::CreateAliasRequest,
    ) -> Result<api::AliasConfiguration, Failure> {
        Err(Failure(ServiceError::not_built("CreateAlias")))
    }

    pub(super) async fn get_alias(
        &self,
        _: &Context,
        _: api::GetAliasRequest,
    ) -> Result<api::AliasConfiguration, Failure> {
        Err(Failure(ServiceError::not_built("GetAlias")))
    }

    pub(super) async fn update_alias(
        &self,
        _: &Context,
        _: api::UpdateAliasRequest,
    ) -> Result<api::AliasConfiguration, Failure> {
        Err(Failure(ServiceError::not_built("UpdateAlias")))
    }

    pub(super) async fn delete_alias(&self, _: &Context, _: api::DeleteAliasRequest) -> Result<(), Failure> {
        Err(Failure(ServiceError::not_built("DeleteAlias")))
    }

    pub(super) async fn list_aliases(
        &self,
        _: &Context,
        _: api::ListAliasesRequest,
    ) -> Result<api::ListAliasesResponse, Failure> {
        Err(Failure(ServiceError::not_built("ListAliases")))
    }
}
