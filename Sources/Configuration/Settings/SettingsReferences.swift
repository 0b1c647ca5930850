import IKEv2
import Packets

/// A section while its files are being read: what several places said of it is merged, references are still names.
final class SettingsNode {
    let name: String
    /// The place where it was opened first.
    let location: SourceLocation
    /// Whether it is `secrets` or lies within: its words may be pieces of keys.
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

/// Turns nodes into sections in which everything inherited is in place.
///
/// A section's layers are itself and, behind it, those it refers to with theirs; the first layer that has a key gives
/// its value. A section within has as layers all sections of that name of the layers around it.
struct SettingsReferences {
    private let root: SettingsNode
    /// Top-level sections that others refer to.
    private(set) var referenced: Set<String> = []
    private var errors: [Problem] = []
    private var entries = 0
    private var isTooLarge = false

    init(root: SettingsNode) { self.root = root }

    mutating func resolve() throws(ConfigurationErrors) -> SettingsSection {
        let section = section(layers: [root], depth: 0)
        guard errors.isEmpty else { throw ConfigurationErrors(ConfigurationErrors.inOrder(errors)) }
        return section
    }

    private mutating func section(layers: [SettingsNode], depth: Int) -> SettingsSection {
        guard let first = layers.first else { return SettingsSection(name: "") }
        var section = SettingsSection(name: first.name, location: first.location)
        var keys: Set<String> = []
        for layer in layers {
            for value in layer.values where keys.insert(value.key).inserted { section.values.append(value) }
        }
        entries += section.values.count
        // Names in order, each with its sections of all layers.
        var names: [String] = []
        var within: [String: [SettingsNode]] = [:]
        for layer in layers {
            for child in layer.children {
                if within[child.name] == nil { names.append(child.name) }
                within[child.name, default: []].append(child)
            }
        }
        entries += names.count
        guard mayGoOn(depth, at: first.location) else { return section }
        for name in names {
            let expanded = expand(within[name] ?? [])
            section.sections.append(self.section(layers: expanded, depth: depth + 1))
        }
        return section
    }

    private mutating func mayGoOn(_ depth: Int, at location: SourceLocation) -> Bool {
        if depth > SettingsLimits.maximumDepth {
            report(location, nil, "circular references", "break the circle: a section cannot inherit from itself")
            return false
        }
        if entries > SettingsLimits.maximumResolvedEntries {
            if !isTooLarge { report(location, nil, "inherited sections become too many", "inherit less") }
            isTooLarge = true
            return false
        }
        return true
    }

    /// The nodes and all that they refer to, each once.
    private mutating func expand(_ nodes: [SettingsNode]) -> [SettingsNode] {
        var layers: [SettingsNode] = []
        var seen: Set<ObjectIdentifier> = []
        var pending = Array(nodes.reversed())
        while let node = pending.popLast() {
            guard seen.insert(ObjectIdentifier(node)).inserted else { continue }
            layers.append(node)
            for reference in node.references.reversed() {
                if let target = target(of: reference) { pending.append(target) }
            }
        }
        return layers
    }

    private mutating func target(of reference: SettingsNode.Reference) -> SettingsNode? {
        var node = root
        let names = reference.path.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        if let first = names.first { referenced.insert(first) }
        for name in names {
            guard let next = node.child(name) else {
                let near = Spelling.nearest(to: name, among: node.children.map(\.name))
                report(
                    reference.location, reference.path, "unknown section to inherit from",
                    near.map { "did you mean '\($0)'?" } ?? "name it from the top of the file, as in connections.base")
                return nil
            }
            node = next
        }
        return node
    }

    private mutating func report(_ location: SourceLocation, _ word: String?, _ reason: String, _ remedy: String) {
        let error = Problem(.error, location, word: word, reason, remedy: remedy)
        if errors.count < 100, !errors.contains(error) { errors.append(error) }
    }
}

extension ConfigurationErrors {
    /// Sorted by file (in the order of first appearance), then by line; each once.
    static func inOrder(_ errors: [Problem]) -> [Problem] {
        var files: [String: Int] = [:]
        var seen: Set<Problem> = []
        let unique = errors.filter { error in
            if files[error.location.file] == nil { files[error.location.file] = files.count }
            return seen.insert(error).inserted
        }
        return unique.enumerated().sorted { left, right in
            func key(_ item: (offset: Int, element: Problem)) -> (Int, Int, Int, Int) {
                let location = item.element.location
                return (files[location.file] ?? 0, location.line, location.column, item.offset)
            }
            return key(left) < key(right)
        }.map(\.element)
    }
}
