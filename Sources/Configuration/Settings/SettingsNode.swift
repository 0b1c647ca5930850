/// A section while its files are being read: what several places said of it is merged, references are still names.
final class SettingsNode {
    let name: String
    /// Where it was opened first.
    let location: SourceLocation
    /// It is `secrets` or lies within: its words may be pieces of keys.
    let holdsSecrets: Bool
    private(set) var values: [SettingsSection.Value] = []
    private(set) var children: [SettingsNode] = []
    private(set) var references: [Reference] = []
    private var valueIndex: [String: Int] = [:]
    private var childIndex: [String: Int] = [:]

    struct Reference {
        /// Names from the root, separated by dots.
        let path: String
        let location: SourceLocation
    }

    init(name: String, location: SourceLocation, holdsSecrets: Bool = false) {
        self.name = name
        self.location = location
        self.holdsSecrets = holdsSecrets
    }

    /// The last value of a key wins.
    func set(_ value: SettingsSection.Value) {
        if let index = valueIndex[value.key] {
            values[index] = value
        } else {
            valueIndex[value.key] = values.count
            values.append(value)
        }
    }

    func refer(to path: String, at location: SourceLocation) {
        guard !references.contains(where: { $0.path == path }) else { return }
        references.append(Reference(path: path, location: location))
    }

    /// The section of that name, made if it is not there yet.
    func open(_ name: String, at location: SourceLocation, isRoot: Bool) -> SettingsNode {
        if let known = child(name) { return known }
        let node = SettingsNode(
            name: name, location: location, holdsSecrets: holdsSecrets || (isRoot && name == "secrets"))
        childIndex[name] = children.count
        children.append(node)
        return node
    }

    func child(_ name: String) -> SettingsNode? { childIndex[name].map { children[$0] } }
}
