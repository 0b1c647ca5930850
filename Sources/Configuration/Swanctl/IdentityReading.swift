import IKEv2

/// Reads the identities of `id`, and says what is wrong with them.
enum IdentityReading {
    /// nil: it is none, which is then reported at `value`.
    static func identity(_ text: String, of value: SettingsSection.Value?, _ reader: SectionReader) -> Identity? {
        do throws(IdentityTextError) {
            let identity = try Identity(parsing: text)
            if case .keyID = identity, text.contains("="), !text.lowercased().hasPrefix("keyid:") {
                reader.warn(
                    value, text, "is no distinguished name, and so stands for a key ID of this text",
                    "write it like \"C=CH, O=Example, CN=moon\", or with keyid: in front")
            }
            return identity
        } catch {
            reader.fail(value, text, error.problem, error.remedy)
            return nil
        }
    }
}
