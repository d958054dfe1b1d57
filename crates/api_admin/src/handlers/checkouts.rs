use crate::error::ApiError;
use crate::input::{Side, amount, currency, email, id, metadata_change, new_metadata, required, side, url};
use crate::render;
use crate::request::{Answer, Scoped};
use domain::id::{PaymentId, StorefrontId};
use domain::money::MAX_AMOUNT;
use domain::site_checkout::{ITEMS_MAX, ItemKind, Party, QUANTITY_MAX, SiteItem, sum};
use domain::storefront::REQUEST_EXPIRATION_MAX_S;
use engine::CheckoutFilter;
use engine::site_checkouts::NewSiteCheckout;
use web::params::{Reader, Value as Param, echo};

/// Characters of a reference.
const REFERENCE_MAX: usize = 200;
const TEXT_MAX: usize = 500;
/// What an item is called that has no name.
const UNNAMED: &str = "Item";

pub(crate) async fn create(request: Scoped) -> Result<Answer, ApiError> {
    let new = read(&request)?;
    Ok(request.engine().create_site_checkout(&request.call("checkout"), new).await?.into())
}

fn read(request: &Scoped) -> Result<NewSiteCheckout, ApiError> {
    let site: StorefrontId = request.id(0, "site")?;
    let mut reader = request.params.reader();
    let amount = required(amount(&mut reader, "amount")?, "amount")?;
    let currency = required(currency(&mut reader, "currency")?, "currency")?;
    let external_reference = reader.text("externalReference", REFERENCE_MAX)?;
    let invoice_number = reader.text("invoiceNumber", REFERENCE_MAX)?;
    if external_reference.is_none() && invoice_number.is_none() {
        let message = "externalReference is missing: name the order by it, or by invoiceNumber.";
        return Err(ApiError::invalid("reference_missing", message).field("externalReference"));
    }
    let items = items(&mut reader)?;
    if !items.is_empty() {
        check_sum(&items, amount)?;
    }
    let http_loopback = request.engine().egress(request.scope).allow_loopback;
    Ok(NewSiteCheckout {
        site,
        amount,
        currency,
        email: email(&mut reader, "email")?,
        client: id(&mut reader, "clientId")?,
        external_reference,
        invoice_number,
        items,
        billing: party(&mut reader, "billingAddress")?,
        shipping: party(&mut reader, "shippingAddress")?,
        return_url: url(&mut reader, "returnUrl", http_loopback)?,
        cancel_url: url(&mut reader, "cancelUrl", http_loopback)?,
        ipn_url: url(&mut reader, "ipnUrl", http_loopback)?,
        language: language(&mut reader)?,
        expires_in: reader.integer("expiresIn", 60, REQUEST_EXPIRATION_MAX_S)?,
        metadata: new_metadata(&mut reader)?,
    })
}

/// Shops look for the words of this error.
fn check_sum(items: &[SiteItem], amount: i64) -> Result<(), ApiError> {
    match sum(items) {
        Some(sum) if sum == amount => Ok(()),
        Some(sum) => {
            let message = format!(
                "The sum of item amounts ({sum}) does not match total amount ({amount}). Each item counts quantity \
                 times unitPrice; send discounts with a negative unitPrice."
            );
            Err(ApiError::unprocessable("items_sum_mismatch", message).field("items"))
        }
        None => {
            let message = "The sum of item amounts is too large and does not match total amount.";
            Err(ApiError::unprocessable("items_sum_mismatch", message).field("items"))
        }
    }
}

fn items(reader: &mut Reader<'_>) -> Result<Vec<SiteItem>, ApiError> {
    let mut items = Vec::new();
    for mut item in reader.objects("items", ITEMS_MAX)?.unwrap_or_default() {
        let quantity = item.integer("quantity", 1, QUANTITY_MAX)?.unwrap_or(1);
        let unit_price = item.integer("unitPrice", -MAX_AMOUNT, MAX_AMOUNT)?;
        let unit_price = unit_price.ok_or_else(|| item.missing("unitPrice"))?;
        let kinds: Vec<&'static str> = ItemKind::ALL.iter().map(|kind| kind.as_str()).collect();
        let kind = item.one_of("itemType", &kinds)?.and_then(ItemKind::parse);
        let usual = if unit_price < 0 { ItemKind::Discount } else { ItemKind::Goods };
        items.push(SiteItem {
            name: item.text("name", TEXT_MAX)?.unwrap_or_else(|| UNNAMED.to_owned()),
            description: item.multiline("description", 2_000)?,
            quantity,
            unit_price,
            vat_rate: vat_rate(&mut item)?,
            kind: kind.unwrap_or(usual),
        });
    }
    Ok(items)
}

/// A percentage with up to two decimals, in hundredths of a percent.
fn vat_rate(item: &mut Reader<'_>) -> Result<Option<i64>, ApiError> {
    let name = item.name_of("vatRate");
    let text = match item.value("vatRate") {
        None => return Ok(None),
        Some(Param::Number(text) | Param::Text(text)) => text.trim(),
        Some(_) => "?",
    };
    if text.is_empty() {
        return Ok(None);
    }
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    let part = part.trim_end_matches('0');
    let hundredths =
        if digits(whole) && whole.len() <= 3 && (part.is_empty() || digits(part)) && part.len() <= 2 {
            let part = format!("{part:0<2}");
            whole.parse::<i64>().ok().zip(part.parse::<i64>().ok()).map(|(whole, part)| whole * 100 + part)
        } else {
            None
        };
    hundredths.filter(|rate| *rate <= 10_000).map(Some).ok_or_else(|| {
        let message = format!(
            "vatRate must be a percentage from 0 to 100 with up to two decimals, such as 19; it is {}.",
            echo(text)
        );
        ApiError::unprocessable("vat_rate_invalid", message).field(&name)
    })
}

/// An address in either spelling. Shops send one whose members are all empty: that is none.
pub(super) fn party(reader: &mut Reader<'_>, name: &str) -> Result<Option<Party>, ApiError> {
    let Some(mut fields) = reader.object(name)? else { return Ok(None) };
    let mut either = |names: &[&str]| -> Result<Option<String>, ApiError> {
        for name in names {
            if let Some(text) = fields.text(name, TEXT_MAX)? {
                return Ok(Some(text));
            }
        }
        Ok(None)
    };
    let whole_name = either(&["name"])?;
    let mut party = Party {
        first_name: either(&["firstName"])?,
        last_name: either(&["lastName"])?,
        company: either(&["company"])?,
        address1: either(&["address1", "line1"])?,
        address2: either(&["address2", "line2"])?,
        city: either(&["city"])?,
        state: either(&["state"])?,
        postcode: either(&["postcode", "postalCode"])?,
        country: either(&["country"])?,
        phone: either(&["phone"])?,
    };
    if party.first_name.is_none() && party.last_name.is_none() {
        party.last_name = whole_name;
    }
    if let Some(country) = &mut party.country {
        if country.len() != 2 || !country.bytes().all(|b| b.is_ascii_alphabetic()) {
            let message = format!(
                "{name}.country must be a two-letter ISO 3166 code such as DE; it is {}.",
                echo(country)
            );
            return Err(ApiError::unprocessable("country_invalid", message).field(&format!("{name}.country")));
        }
        country.make_ascii_uppercase();
    }
    Ok((party != Party::default()).then_some(party))
}

/// Two letters, with what may follow after a hyphen: of `de-AT` the `de`.
pub(super) fn language(reader: &mut Reader<'_>) -> Result<Option<String>, ApiError> {
    let Some(text) = reader.text("language", 20)? else { return Ok(None) };
    let language = text.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    let known = language.len() == 2 && language.bytes().all(|b| b.is_ascii_lowercase());
    known.then_some(Some(language)).ok_or_else(|| {
        let message =
            format!("language must be a tag of two letters such as de or de-AT; it is {}.", echo(&text));
        ApiError::unprocessable("language_invalid", message).field("language")
    })
}

pub(crate) async fn list(request: Scoped) -> Result<Answer, ApiError> {
    let page = request.page()?;
    let mut reader = request.params.reader();
    let mut filter = CheckoutFilter {
        site: id(&mut reader, "siteId")?,
        client: id(&mut reader, "clientId")?,
        external_reference: reader.text("externalReference", REFERENCE_MAX)?,
        invoice_number: reader.text("invoiceNumber", REFERENCE_MAX)?,
        from: side(&mut reader, "from", Side::Start)?,
        to: side(&mut reader, "to", Side::End)?,
        ..CheckoutFilter::default()
    };
    match reader.one_of("status", &["open", "completed", "expired", "cancelled", "canceled"])? {
        Some("open") => filter.open = Some(true),
        Some("completed") => filter.payment_status = Some("succeeded"),
        Some("expired") => (filter.payment_status, filter.expired) = (Some("canceled"), Some(true)),
        Some(_) => (filter.payment_status, filter.expired) = (Some("canceled"), Some(false)),
        None => {}
    }
    let found = request.engine().site_checkouts(request.scope, filter, page.query()).await?;
    let rows = found.data.iter().map(|view| render::checkout(&request.app.urls, view)).collect();
    Answer::ok(page.show("checkouts", rows, found.total))
}

pub(crate) async fn get(request: Scoped) -> Result<Answer, ApiError> {
    let id: PaymentId = request.id(0, "checkout")?;
    let view = request.engine().site_checkout(request.scope, id).await?;
    Answer::ok(render::checkout(&request.app.urls, &view))
}

pub(crate) async fn update(request: Scoped) -> Result<Answer, ApiError> {
    let id: PaymentId = request.id(0, "checkout")?;
    let patch = request.params.reader().metadata("metadata")?.unwrap_or_default();
    let changed =
        request.engine().change_site_checkout(&request.call("checkout"), id, metadata_change(patch)).await?;
    Ok(changed.into())
}

pub(crate) async fn expire(request: Scoped) -> Result<Answer, ApiError> {
    let id: PaymentId = request.id(0, "checkout")?;
    Ok(request.engine().expire_site_checkout(&request.call("checkout"), id).await?.into())
}
