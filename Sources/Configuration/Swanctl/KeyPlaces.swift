/// Where keys belong that stand in the wrong section.
enum KeyPlaces {
    /// nil: nowhere, or in several places.
    static func place(of key: String) -> String? {
        let sides = [AuthenticationTranslation.localRules, AuthenticationTranslation.remoteRules]
        let isOfBoth = sides.allSatisfy { $0[key]?.isServed == true }
        let places: [(String, [String: KeyRule])] = [
            ("the section of the connection", ConnectionTranslation.rules),
            ("a section of 'children'", ChildTranslation.rules),
            (isOfBoth ? "'local' or 'remote'" : "the 'remote' section", AuthenticationTranslation.remoteRules),
        ]
        let fitting = places.filter { $0.1[key]?.isServed == true }
        return fitting.count == 1 ? fitting[0].0 : nil
    }

    /// Every key of connections, children and their authentication, and of secrets.
    static let all = Set(ConnectionTranslation.rules.keys).union(ChildTranslation.rules.keys)
        .union(AuthenticationTranslation.localRules.keys).union(AuthenticationTranslation.remoteRules.keys)
        .union(["secret", "file", "cacert"])
}
