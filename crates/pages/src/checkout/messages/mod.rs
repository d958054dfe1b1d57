//! What the payment page says, one file a language. A text that is missing is a compile error, and a test
//! compares the placeholders of every language with the English ones.
//!
//! Placeholders stand in braces, so that each language has its own word order. Counts stand after a colon
//! ("Attempts left: 2"), because a noun after a number takes up to six forms.

mod ar;
mod cs;
mod de;
mod en;
mod es;
mod fr;
mod he;
mod it;
mod lv;
mod nl;
mod pl;
mod pt;

use super::locale::Locale;

macro_rules! messages {
    ($($name:ident)*) => {
        /// The texts of one language. See [`en`] for what each says.
        pub(crate) struct Messages { $(pub $name: &'static str,)* }

        #[cfg(test)]
        impl Messages {
            /// Every text with its name.
            pub fn all(&self) -> Vec<(&'static str, &'static str)> {
                vec![$((stringify!($name), self.$name),)*]
            }
        }
    };
}

messages! {
    pay_to order amount fee total reference order_reference language powered_by the_shop
    test_mode test_cards test_accounts test_hint test_approved test_asks test_declined test_funds not_offered
    method card bank or simulated
    number expiry expiry_hint code code_back code_front card_name holder email
    mandate mandate_reference creditor creditor_id payment_type one_off sign_note
    paypal_note continue_with pay processing cancel minutes_left attempts_left
    check number_empty number_incomplete number_wrong number_unsupported
    expiry_format expiry_month expiry_past code3 code4 name_empty
    iban_empty iban_format iban_country iban_length iban_check email_wrong
    declined declined_card declined_funds declined_code declined_often
    bank_failed bank_left bank_late not_confirmed no_method
    checking_title checking_text check_again connection_lost
    bank_title bank_text proceed
    paid_title paid_text submitted_title submitted_text awaited_title awaited_text
    unavailable_title unavailable_text already_title already_text
    failed_title failed_text not_charged expired_title expired_text canceled_title
    back_to leaving close_page
    sim_banner sim_question sim_approve sim_decline sim_leave
}

impl Messages {
    pub fn of(locale: Locale) -> &'static Messages {
        match locale {
            Locale::En => &en::MESSAGES,
            Locale::De => &de::MESSAGES,
            Locale::Fr => &fr::MESSAGES,
            Locale::Es => &es::MESSAGES,
            Locale::It => &it::MESSAGES,
            Locale::Nl => &nl::MESSAGES,
            Locale::Pl => &pl::MESSAGES,
            Locale::Pt => &pt::MESSAGES,
            Locale::Cs => &cs::MESSAGES,
            Locale::Lv => &lv::MESSAGES,
            Locale::Ar => &ar::MESSAGES,
            Locale::He => &he::MESSAGES,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn placeholders(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).map(|rest| rest.split_once('}').expect("a closing brace").0).collect()
    }

    #[test]
    fn every_language_has_the_placeholders_of_english() {
        let english = Messages::of(Locale::En).all();
        for locale in Locale::ALL {
            for ((name, theirs), (_, ours)) in Messages::of(locale).all().into_iter().zip(&english) {
                assert_eq!(placeholders(theirs), placeholders(ours), "{locale:?} {name}");
                assert!(!theirs.trim().is_empty() && theirs.trim() == theirs, "{locale:?} {name}");
            }
        }
    }

    #[test]
    fn no_language_was_left_in_english() {
        let english = Messages::of(Locale::En).all();
        for locale in Locale::ALL.into_iter().filter(|locale| *locale != Locale::En) {
            let same: Vec<_> = Messages::of(locale)
                .all()
                .into_iter()
                .zip(&english)
                .filter(|((_, theirs), (_, ours))| theirs == ours && ours.len() > 12)
                .map(|((name, _), _)| name)
                .collect();
            assert!(same.is_empty(), "{locale:?}: {same:?}");
        }
    }
}
