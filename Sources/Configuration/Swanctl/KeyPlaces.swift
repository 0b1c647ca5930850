/// Where keys belong that stand in the wrong section.
enum KeyPlaces {
    /// nil: nowhere, or in several places.
    static func place(of key: String) -> String? {
        let places: [(String, [String: KeyRule])] = [
            ("the section of the connection", ConnectionTranslation.rules),
            ("a section of 'children'", ChildTranslation.rules),
            ("'local' or 'remote'", AuthenticationTranslation.remoteRules),
        ]
        let fitting = places.filter { $0.1[key]?.isServed == true }
        return fitting.count == 1 ? fitting[0].0 : nil
    }
}
