//! PutFunctionConcurrency, GetFunctionConcurrency and DeleteFunctionConcurrency.

use base::units::Concurrency;
use catalogue::rules::ShareError;
use catalogue::rules::concurrency::{Pool, reserve, unreserve};
use catalogue::{CatalogueError, Function};
use wire::lambda as api;

use super::Lambda;
use super::errors::Failure;
use crate::Context;

impl Lambda {
    pub(super) async fn put_function_concurrency(
        &self,
        context: &Context,
        input: api::PutFunctionConcurrencyRequest,
    ) -> Result<api::Concurrency, Failure> {
        let target = self.target(context, &input.function_name, None, "lambda:PutFunctionConcurrency")?;
        target.clone().unqualified()?;
        let function = self.existing(&target, target.unknown_to_invoke()).await?;
        let (reserved, limit) = (count(input.reserved_concurrent_executions), self.parts.account_concurrency);
        let reserve =
            |function: &Function, usage, _| reserve(function, reserved, Pool::around(function, limit, usage));
        self.parts.catalogue.change_shares::<ShareError>(&function.key, reserve).await?;
        Ok(api::Concurrency { reserved_concurrent_executions: Some(input.reserved_concurrent_executions) })
    }

    pub(super) async fn get_function_concurrency(
        &self,
        context: &Context,
        input: api::GetFunctionConcurrencyRequest,
    ) -> Result<api::GetFunctionConcurrencyResponse, Failure> {
        let target = self.target(context, &input.function_name, None, "lambda:GetFunctionConcurrency")?;
        let function = self.existing(&target, target.unknown()).await?;
        Ok(api::GetFunctionConcurrencyResponse {
            reserved_concurrent_executions: function.reserved.map(shown),
        })
    }

    pub(super) async fn delete_function_concurrency(
        &self,
        context: &Context,
        input: api::DeleteFunctionConcurrencyRequest,
    ) -> Result<(), Failure> {
        let target = self.target(context, &input.function_name, None, "lambda:DeleteFunctionConcurrency")?;
        target.clone().unqualified()?;
        let function = self.existing(&target, target.unknown()).await?;
        let unreserve = |function: &Function, _| Ok::<_, CatalogueError>(unreserve(function));
        self.parts.catalogue.change(&function.key, unreserve).await?;
        Ok(())
    }
}

/// A concurrency that the front end has made sure is not negative.
pub(super) fn count(count: i32) -> Concurrency {
    Concurrency(u32::try_from(count).unwrap_or_default())
}

/// A concurrency as answers show it; none is more than a request can bring.
pub(super) fn shown(count: Concurrency) -> i32 {
    i32::try_from(count.0).unwrap_or(i32::MAX)
}
