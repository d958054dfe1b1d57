//! Customers who come, pay for a while, and are erased.

use super::{Step, Walk, email_of, id_of, same};
use crate::Answer;

/// Customers who stay for the whole walk.
pub(super) const PERMANENT: usize = 6;
/// All customers of a walk, so that comparing each one's list stays a small part of it.
const MOST: usize = 40;

impl Walk {
    /// A customer that is not erased.
    pub(super) fn living(&mut self) -> usize {
        loop {
            let c = self.random.below(self.customers.len());
            if !self.erased.contains(&c) {
                return c;
            }
        }
    }

    /// Erases the oldest who came during the walk, or lets another one come.
    pub(super) async fn come_or_go(&mut self) -> Step<()> {
        let oldest = (PERMANENT..self.customers.len()).find(|c| !self.erased.contains(c));
        match oldest {
            Some(c) if self.random.chance(1, 2) || self.customers.len() >= MOST => self.erase(c).await,
            _ if self.customers.len() < MOST => self.new_customer(None).await,
            _ => self.create().await,
        }
    }

    /// A customer, of a test clock if one is given, with a saved card.
    pub(super) async fn new_customer(&mut self, clock: Option<usize>) -> Step<()> {
        let named = clock.map(|c| self.clocks[c].clone()).unwrap_or_default();
        let email = email_of(self.customers.len());
        let form: &[(&str, &str)] = &[("email", &email), ("test_clock", &named)];
        let made = self.send("/v2/customers", if clock.is_some() { form } else { &form[..1] }, None).await;
        let customer = id_of(&made)?;
        let attach = "/v2/payment_methods/pm_card_visa/attach";
        let card = id_of(&self.send(attach, &[("customer", &customer)], None).await)?;
        self.customers.push((customer, card));
        self.model.customers.push(clock);
        Ok(())
    }

    /// What nobody has paid ends, and everything else goes on as it was.
    async fn erase(&mut self, c: usize) -> Step<()> {
        // An answer that is still missing could end a payment before the erasure looks at it, or after.
        self.ask_provider().await?;
        let (customer, card) = self.customers[c].clone();
        let path = format!("/v2/customers/{customer}");
        self.report.requests += 1;
        let answer = self.app.delete(&path).await;
        self.note(format!("DELETE {path} -> {}", answer.status));
        same_erased(&answer, &customer)?;
        while self.app.engine.run_erasures().await.map_err(|e| format!("{e:?}"))? {}
        self.erased.insert(c);
        self.report.erased += 1;
        let theirs: Vec<usize> =
            (0..self.model.payments.len()).filter(|i| self.model.payments[*i].customer == Some(c)).collect();
        // Stored answers about them are not the same bytes any more.
        let names: Vec<String> = theirs.iter().map(|i| self.model.payments[*i].id.clone()).collect();
        self.keyed.retain(|kept| !names.iter().any(|name| kept.text.contains(name.as_str())));
        self.model.erase(c);
        for i in theirs {
            self.compare_payment(i).await?;
        }
        let gone = self.app.get(&format!("/v2/payment_methods/{card}")).await;
        same("the status of an erased card", gone.status.as_u16(), 404)?;
        self.compare_balances().await
    }
}

fn same_erased(answer: &Answer, customer: &str) -> Step<()> {
    same("the status of an erasure", answer.status.as_u16(), 200)?;
    same(
        "who was erased",
        (answer.json["id"].as_str(), &answer.json["deleted"]),
        (Some(customer), &true.into()),
    )
}
