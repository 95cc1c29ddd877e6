//! Suite policy: the weakest suite that the hospital still takes for what is stored from now on. It only ever rises.

use crate::codec::{Reader, Writer};
use crate::{Error, HospitalId, Result, Suite};

/// What may be stored from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SuitePolicy {
    /// the least suite that deposits are sealed and signed in
    pub minimum: Suite,
    /// hospital id under which the same hospital stores from now on; none: this one
    pub successor: Option<HospitalId>,
}

impl SuitePolicy {
    /// Whether a deposit in this suite may still be made.
    pub fn takes(&self, suite: Suite) -> bool {
        suite.code() >= self.minimum.code()
    }

    /// Refuses a policy that would take back what the one before demanded.
    pub fn may_follow(&self, before: &SuitePolicy) -> Result<()> {
        let refuse = |why| Err(Error::Invalid { what: "suite policy", why });
        if self.minimum.code() < before.minimum.code() {
            return refuse("the least suite never goes down again");
        }
        match before.successor.is_some() && self.successor != before.successor {
            true => refuse("the successor that was named stays the successor"),
            false => Ok(()),
        }
    }

    /// Writes it.
    pub fn write(&self, out: &mut Writer) {
        out.u8(self.minimum.code()).zeros(7).put(&self.successor.map_or([0; 16], |hospital| hospital.0));
    }

    /// Reads it.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let minimum = Suite::try_from(reader.u8("least suite")?)?;
        reader.zeros(7, "reserved bytes of the suite policy")?;
        let successor = Some(HospitalId::read(reader)?).filter(|hospital| hospital.0 != [0; 16]);
        Ok(SuitePolicy { minimum, successor })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_rises_and_never_falls() {
        let policy = |minimum, successor| SuitePolicy { minimum, successor };
        let (one, two) = (policy(Suite::Default, None), policy(Suite::Cryptrec, None));
        let named = policy(Suite::Cryptrec, Some(HospitalId([7; 16])));
        assert!(one.takes(Suite::Default) && one.takes(Suite::Cryptrec));
        assert!(!two.takes(Suite::Default) && two.takes(Suite::Cryptrec));
        for (next, before, may) in [
            (two, one, true),
            (one, two, false),
            (two, two, true),
            (named, two, true),
            (two, named, false),
            (named, named, true),
        ] {
            assert_eq!(next.may_follow(&before).is_ok(), may, "{next:?} after {before:?}");
        }
    }
}
