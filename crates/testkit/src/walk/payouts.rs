//! Payouts over REST v2, to bank accounts that are added when they are first needed.

use super::gate::ACCOUNTS;
use super::model::gate::Payout;
use super::{Step, Walk, id_of, same};

impl Walk {
    pub(super) async fn pay_merchant(&mut self) -> Step<()> {
        let currency = self.currency();
        let available = self.model.balances.get(currency).map_or(0, |b| b.available);
        let amount = match self.random.below(4) {
            0 => available.max(0) + self.random.within(1, 1_000),
            _ => self.random.within(1, (available / 4).max(1)),
        };
        let (number, script) = *self.random.pick(ACCOUNTS);
        let account = self.bank_account(number, currency).await?;
        let form = vec![
            ("amount", amount.to_string()),
            ("currency", currency.to_owned()),
            ("destination", account.clone()),
        ];
        let refused = self.model.payout(amount, currency, script) != 200;
        let answer = self.post("/v2/payouts", form).await;
        same("the status of a payout's answer", answer.status.as_u16(), if refused { 400 } else { 201 })
            .map_err(|e| format!("{e}\n{}", answer.text))?;
        if refused {
            same("why", answer.json["error"]["code"].as_str(), Some("balance_insufficient"))?;
        } else {
            let n = self.model.payouts.len() - 1;
            self.model.payouts[n].id = id_of(&answer)?;
            same("where it goes", answer.json["destination"].as_str(), Some(account.as_str()))?;
            self.compare_merchant_payout(n).await?;
        }
        self.compare_balances().await
    }

    async fn bank_account(&mut self, number: &'static str, currency: &'static str) -> Step<String> {
        if let Some(known) = self.accounts.get(&(number, currency)) {
            return Ok(known.clone());
        }
        let form = [("account_number", number), ("currency", currency), ("account_holder_name", "Shop")];
        let made = id_of(&self.send("/v2/bank_accounts", &form, None).await)?;
        self.accounts.insert((number, currency), made.clone());
        Ok(made)
    }

    /// A payout that was not made through Gate, as REST v2 shows it.
    pub(super) async fn compare_merchant_payout(&mut self, n: usize) -> Step<()> {
        let Payout { id, amount, status, .. } = self.model.payouts[n].clone();
        let shown = self.read(&format!("/v2/payouts/{id}")).await?;
        let expected = match status {
            "created" => "pending",
            "processing" => "in_transit",
            "success" => "paid",
            other => other,
        };
        same(format!("the status of {id}"), shown["status"].as_str(), Some(expected))?;
        same(format!("the amount of {id}"), shown["amount"].as_i64(), Some(amount))
    }
}
