//! G7–G10: bank accounts to which payouts go.

use super::shared;
use crate::error::ApiError;
use crate::expand::{Object, Where};
use crate::render;
use crate::reply::ReplyKind;
use crate::request::{Answer, Request, expand_paths, page_query, required};
use domain::bank_account::{BankAccount, HolderType};
use domain::id::BankAccountId;
use domain::payout::AccountNumber;
use engine::bank_accounts::{BankAccountChanges, NewBankAccount};
use web::params::Reader;

/// IBANs and national numbers are spelled with spaces too.
const NUMBER: usize = 64;
const NAME: usize = 140;

fn number(r: &mut Reader<'_>) -> Result<AccountNumber, ApiError> {
    let (iban, other) = (r.raw_text("iban", NUMBER)?, r.raw_text("account_number", NUMBER)?);
    let (param, text) = match (iban, other) {
        (Some(_), Some(_)) => {
            let message = "iban and account_number are two names of one thing. Pass one of them.";
            return Err(ApiError::invalid("parameters_exclusive", message).param("account_number"));
        }
        (Some(iban), None) => ("iban", iban),
        (None, Some(text)) => ("account_number", text),
        (None, None) => {
            let message = "Pass iban, or account_number for an account that has none.";
            return Err(ApiError::invalid("parameter_missing", message).param("iban"));
        }
    };
    let number = AccountNumber::parse(text)
        .map_err(|e| r.invalid(param, "account_number_invalid", format!("{param} {e}.")))?;
    if param == "iban" && number.country().is_none() {
        let message = "iban is not an IBAN of a country that is known here. Pass it as account_number.";
        return Err(r.invalid(param, "account_number_invalid", message).into());
    }
    Ok(number)
}

fn country(r: &mut Reader<'_>) -> Result<Option<String>, ApiError> {
    let country = r.text("country", 2)?;
    if country.as_ref().is_some_and(|c| c.len() != 2 || !c.bytes().all(|b| b.is_ascii_uppercase())) {
        let message = "country must be a two-letter ISO 3166 code in capitals, for example DE.";
        return Err(r.invalid("country", "country_code_invalid", message).into());
    }
    Ok(country)
}

fn holder_type(r: &mut Reader<'_>) -> Result<Option<HolderType>, ApiError> {
    let kinds: Vec<&'static str> = HolderType::ALL.iter().map(|kind| kind.as_str()).collect();
    Ok(r.one_of("account_holder_type", &kinds)?.and_then(HolderType::parse))
}

pub async fn create(request: Request) -> Result<Answer, ApiError> {
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::Plain, Where::Post)?;
    let number = number(&mut r)?;
    let currency = shared::currency(&mut r)?;
    let new = NewBankAccount {
        number,
        holder: r.required_text("account_holder_name", NAME)?,
        holder_type: holder_type(&mut r)?,
        country: country(&mut r)?,
        currency: required(currency, &r, "currency")?,
        bank_name: r.text("bank_name", NAME)?,
        swift: r.text("swift", 11)?,
        make_default: r.boolean("default_for_currency")?.unwrap_or(false),
        metadata: shared::new_metadata(&mut r)?,
    };
    r.finish()?;
    let call = request.call(ReplyKind { created: true, ..ReplyKind::default() }, expand);
    Ok(request.engine().add_bank_account(&call, new).await?.into())
}

pub async fn retrieve(request: Request) -> Result<Answer, ApiError> {
    let id = request.id::<BankAccountId>(0, "bank_account")?;
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::Plain, Where::Get)?;
    r.finish()?;
    let render = |_: &web::Urls, b: &BankAccount| render::bank_account(b);
    request.show(Object::Plain, expand, move |v| v.bank_account(id), render, "bank_account").await
}

pub async fn update(request: Request) -> Result<Answer, ApiError> {
    let id = request.id::<BankAccountId>(0, "bank_account")?;
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::Plain, Where::Post)?;
    let changes = BankAccountChanges {
        holder: r.text("account_holder_name", NAME)?,
        holder_type: holder_type(&mut r)?,
        make_default: match r.boolean("default_for_currency")? {
            Some(false) => {
                let message =
                    "default_for_currency can only be set to true: make another account the default instead.";
                return Err(r.invalid("default_for_currency", "parameter_invalid", message).into());
            }
            asked => asked.is_some(),
        },
    };
    let metadata = shared::metadata(&mut r)?;
    r.finish()?;
    let call = request.call(ReplyKind::default(), expand);
    Ok(request.engine().change_bank_account(&call, id, changes, metadata).await?.into())
}

pub async fn delete(request: Request) -> Result<Answer, ApiError> {
    let id = request.id::<BankAccountId>(0, "bank_account")?;
    request.params.reader().finish()?;
    let call = request.call(ReplyKind::default(), Vec::new());
    Ok(request.engine().remove_bank_account(&call, id).await?.into())
}

pub async fn list(request: Request) -> Result<Answer, ApiError> {
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::Plain, Where::List)?;
    let query = page_query::<BankAccountId>(&mut r)?;
    let currency = shared::currency(&mut r)?;
    r.finish()?;
    let show = |_: &web::Urls, b: &BankAccount| render::bank_account(b);
    request.list(Object::Plain, expand, move |v| v.bank_accounts(currency, &query), show).await
}
