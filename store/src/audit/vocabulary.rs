//! The closed vocabularies of the audit log: each word has a number on disk and a name for people, and neither is ever
//! used again for something else.

/// Enums whose variants have a code on disk and a kebab-case name.
macro_rules! vocabulary {
    ($($(#[$doc:meta])* $name:ident: $repr:ty, $what:literal { $($(#[$variant_doc:meta])* $variant:ident = $code:literal $text:literal,)+ })+) => { $(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr($repr)]
        pub enum $name {
            $($(#[$variant_doc])* $variant = $code,)+
        }

        impl $name {
            /// Every word, by code.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// Its number on disk.
            pub const fn code(self) -> $repr {
                self as $repr
            }

            /// The word of a number.
            pub fn from_code(code: $repr) -> shosoin_protocol::Result<Self> {
                let known = Self::ALL.iter().copied().find(|word| word.code() == code);
                known.ok_or(shosoin_protocol::Error::Invalid { what: $what, why: "no such code" })
            }

            /// Its name for people and programs.
            pub const fn name(self) -> &'static str {
                match self {
                    $($name::$variant => $text,)+
                }
            }

            /// The word of a name.
            pub fn parse(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|word| word.name() == name)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = <String as serde::Deserialize>::deserialize(deserializer)?;
                let unknown = || serde::de::Error::custom(format!("{name} is no {}", $what));
                Self::parse(&name).ok_or_else(unknown)
            }
        }
    )+ };
}
pub(crate) use vocabulary;

vocabulary! {
    /// What was done. Numbers below 1000 are the operator's; later releases add, and never change one.
    Action: u16, "audit action" {
        /// a process opened the vault, and the log began to be written
        VaultStarted = 1 "vault-started",
        /// it closed the vault, and the log stopped being written
        VaultStopped = 2 "vault-stopped",
        /// the log was lost on the vault's own disk and taken from a copy on volumes
        LogRestored = 3 "log-restored",
        /// the clock went back, or far ahead, since the last event
        ClockJumped = 4 "clock-jumped",
        /// records are being written from here on; with findings where the process before did not say that it stopped
        LogStarted = 5 "log-started",
        /// no more records are written until the vault is opened again
        LogStopped = 6 "log-stopped",
        /// the space for the log ran low, or there is enough again
        LogSpace = 7 "log-space",
        /// records of the log left it, or somebody looked for some
        LogRead = 8 "log-read",
        /// `vault.toml` is not what it was when the vault was served before
        SettingsChanged = 9 "settings-changed",
        /// the program is not the one that served the vault before
        ProgramChanged = 11 "program-changed",
        /// libraries of the system that the program uses are not those it was served with before
        LibrariesChanged = 12 "libraries-changed",
        /// the vault looked at its own program and settings; with findings where nobody registered them
        SelfChecked = 13 "self-checked",
        /// a change of program, settings or machines was registered
        ChangeRegistered = 14 "change-registered",
        /// whether the clock agrees with standard time changed, or was asked again after a day
        TimeAgreement = 15 "time-agreement",
        /// a hospital was enrolled
        HospitalEnrolled = 10 "hospital-enrolled",
        /// index, ledger and media were compared
        Check = 20 "check",
        /// units on a volume were read and verified
        Scrub = 21 "scrub",
        /// fresh records were read again
        Watch = 22 "watch",
        /// shards were rebuilt
        Repair = 23 "repair",
        /// shards were copied to another volume before theirs ends its life
        CopyForward = 24 "copy-forward",
        /// shards were moved to another tier
        Migrate = 25 "migrate",
        /// live records of a sparse segment were written anew
        Compact = 26 "compact",
        /// an old copy was removed, because another one was verified
        Release = 27 "release",
        /// the index was made anew from media
        Rebuild = 28 "rebuild",
        /// somebody changed when or how fast a job may run, or stopped it
        JobSetting = 29 "job-setting",
        /// a volume that the ledger of media did not know was found in use
        VolumeAdopted = 40 "volume-adopted",
        /// a medium was labelled and taken into use
        VolumeAdded = 41 "volume-added",
        /// its label was written anew
        VolumeRelabelled = 42 "volume-relabelled",
        /// its state changed
        VolumeState = 43 "volume-state",
        /// it was tested
        VolumeTested = 44 "volume-tested",
        /// how much it has been used was read or entered
        VolumeWear = 45 "volume-wear",
        /// where it is kept was noted: temperature, humidity, remarks
        VolumeEnvironment = 46 "volume-environment",
        /// a tour of it ended
        VolumeToured = 47 "volume-toured",
        /// it is mounted somewhere else
        VolumePlaced = 48 "volume-placed",
        /// the shelf it is kept on was noted
        VolumeShelved = 51 "volume-shelved",
        /// its label is older than the ledger remembers: an old image of it was brought back
        VolumeStale = 49 "volume-stale",
        /// the ledger of media was compared with what is there
        Stocktake = 50 "stocktake",
        /// the asset ledger was read: a page of it, an entry, or all of it
        AssetsRead = 60 "assets-read",
        /// a device of the hospital read sealed records
        RecordsRead = 160 "records-read",
        /// a person asked for a page of the console
        PageAsked = 161 "page-asked",
        /// people were told of records of the log
        NoticeSent = 162 "notice-sent",
        /// people could not be told, after all tries
        NoticeFailed = 163 "notice-failed",
        /// somebody tries whether people are told
        NoticeTried = 164 "notice-tried",
        /// an incident was stated to a hospital, and its scene preserved
        IncidentStated = 165 "incident-stated",
        /// the report of a month was made for a hospital
        ReportMade = 166 "report-made",
        /// what was received was compared with what is held, given out and disposed of
        Reconciled = 61 "reconciled",
        /// somebody or something tried to end a record's life, and the guard refused
        DisposalRefused = 62 "disposal-refused",
        /// somebody approved the end of records, or may not
        DisposalApproved = 64 "disposal-approved",
        /// records were ended: it began, on an order that two people approved
        Disposed = 65 "disposed",
        /// a segment holds records that were ended, and goes for that
        DisposalSegment = 66 "disposal-segment",
        /// what was done to one copy of a part of such a segment
        ShardErased = 67 "shard-erased",
        /// a certificate of disposal was issued
        DisposalCertified = 68 "disposal-certified",
        /// a statement of applicability was measured
        Applicability = 63 "applicability",
        /// somebody got an account
        AccountAdded = 100 "account-added",
        /// their roles changed
        AccountRoles = 101 "account-roles",
        /// they were stopped
        AccountSuspended = 102 "account-suspended",
        /// they may act again
        AccountResumed = 103 "account-resumed",
        /// they will never act again, and their id is nobody's
        AccountClosed = 104 "account-closed",
        /// they are another user of the machine
        AccountMapped = 105 "account-mapped",
        /// their password was changed or given anew, or a change of it was refused
        AccountPassword = 106 "account-password",
        /// their second factor was made, proved or taken away
        AccountSecondFactor = 107 "account-second-factor",
        /// the key they agree with changed
        AccountKey = 108 "account-key",
        /// the days and hours in which they may act changed
        AccountHours = 109 "account-hours",
        /// they began to act: at the console, or for the first time in an hour over the socket
        LoggedOn = 110 "logged-on",
        /// somebody tried to log on and was not let in
        LogOnRefused = 111 "log-on-refused",
        /// too many wrong tries: nobody logs on with that id for a while
        AccountLocked = 112 "account-locked",
        /// a session ended, by itself or because somebody ended it
        LoggedOff = 113 "logged-off",
        /// a command that its caller may not give
        CommandRefused = 114 "command-refused",
        /// somebody asked for what a second person must agree to
        ApprovalRequested = 115 "approval-requested",
        /// a second person agreed, or may not
        ApprovalGiven = 116 "approval-given",
        /// what was agreed was done
        ApprovalUsed = 117 "approval-used",
        /// a request was turned down, taken back or too old
        ApprovalEnded = 118 "approval-ended",
        /// somebody may do more than usual for a while
        BreakGlass = 119 "break-glass",
        /// that while is over
        BreakGlassEnded = 120 "break-glass-ended",
        /// a person looked at who may do what
        AccountsReviewed = 121 "accounts-reviewed",
        /// what a stopped person could reach was verified
        SuspicionVerified = 122 "suspicion-verified",
        /// the vault's owner stood up for an accounts file that the log does not know
        AccountsConfirmed = 123 "accounts-confirmed",
        /// the operator signed an agreement with a hospital
        AgreementSigned = 80 "agreement-signed",
        /// something suspicious that a hospital sent was set aside as evidence, or could not be
        Quarantined = 81 "quarantined",
        /// evidence was handed out or destroyed
        QuarantineReleased = 82 "quarantine-released",
        /// a transfer from a hospital failed
        TransferFailed = 83 "transfer-failed",
        /// too many did: nothing passes between hospital and vault any more
        CommunicationStopped = 84 "communication-stopped",
        /// somebody found out why, another agreed, and it goes on
        CommunicationReopened = 85 "communication-reopened",
        /// a hospital told that a courier brings media
        ShipmentAnnounced = 86 "shipment-announced",
        /// they came, and were compared with what was announced
        ShipmentReceived = 87 "shipment-received",
        /// what is on one of them was taken in
        MediumTaken = 88 "medium-taken",
        /// one of them, or what was on it, was disposed of
        CourierMediumDisposed = 89 "courier-medium-disposed",
        /// somebody connected over a network; then how often they did in an hour
        Connected = 190 "connected",
        /// somebody was turned away before they could ask for anything
        ConnectionRefused = 191 "connection-refused",
        /// a machine was registered
        MachineAdded = 180 "machine-added",
        /// the register says something else of it
        MachineChanged = 181 "machine-changed",
        /// it may be connected, or may not any more
        MachineState = 182 "machine-state",
        /// it was looked at before it is connected
        MachineChecked = 183 "machine-checked",
        /// a machine that the register does not let was met: the vault's own host, or one that came to the console
        MachineUnknown = 184 "machine-unknown",
        /// everything of a hospital was written to a package that leaves the house
        HandoverExported = 150 "handover-exported",
        /// a hospital was taken over from a package
        HandoverImported = 151 "handover-imported",
        /// the end of a hospital's log was taken back
        HandoverReopened = 152 "handover-reopened",
        /// a version of a hospital was given to another one, as both consented
        ShareGiven = 153 "share-given",
    }

    /// How it ended.
    Outcome: u8, "audit outcome" {
        /// it was begun; another record says how it ended
        Begun = 1 "begun",
        /// it was done
        Done = 2 "done",
        /// it was refused, and nothing changed
        Refused = 3 "refused",
        /// it failed on the way
        Failed = 4 "failed",
        /// it was stopped at a safe point, and goes on later
        Stopped = 5 "stopped",
        /// it was done, and damage was seen
        Findings = 6 "findings",
    }

    /// Where in its life a medium is.
    MediaState: u8, "media state" {
        /// labelled, and nothing stored on it yet
        New = 1 "new",
        /// in use
        Active = 2 "active",
        /// it failed, or nobody knows what is on it: read, never written to
        Suspect = 3 "suspect",
        /// what is on it moves elsewhere
        Draining = 4 "draining",
        /// nothing depends on it any more
        Retired = 5 "retired",
        /// securely erased
        Sanitised = 6 "sanitised",
        /// physically destroyed
        Destroyed = 7 "destroyed",
        /// in use, and kept apart from the machine until it is asked for
        OnShelf = 8 "on-shelf",
        /// nobody knows where it is, and nobody waits for it
        Lost = 9 "lost",
    }

    /// What was tested.
    TestKind: u8, "test" {
        /// errors of an optical disc at the inner decoder, the highest count in one second or block group
        OpticalErrorRate = 1 "optical-error-rate",
        /// what the device says of its own health: count of attributes beyond their thresholds
        SmartHealth = 2 "smart-health",
        /// sectors or blocks that could not be read
        Surface = 3 "surface",
        /// permanent errors of a tape drive reading the whole tape
        TapeErrorRate = 4 "tape-error-rate",
        /// any other test of the maker or supplier: count of faults
        Maker = 5 "maker",
    }
}
