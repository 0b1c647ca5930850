/// The CRLs that are loaded, from files and over VICI alike, and what a new one replaces.
///
/// One issuer can have many at once: complete and delta lists, partitions, and those of an older key. A list replaces
/// only an older one about the same certificates, made by the same key; what somebody else signed in its name replaces
/// nothing.
public struct RevocationListSet: Sendable {
    private var entries: [Entry] = []

    public init() {}

    private struct Entry {
        let list: RevocationList
        /// Hash of the key that signed it; nil while that is not known.
        let signer: [UInt8]?

        /// Both are about the same certificates, and made by the same key.
        func hasScope(of other: Entry) -> Bool {
            signer == other.signer && list.authorityKeyIdentifier == other.list.authorityKeyIdentifier
                && list.scope?.der == other.list.scope?.der && list.issuer.matches(other.list.issuer)
        }

        /// Whether nothing is lost without the other, which has the same scope.
        func outdates(_ other: Entry) -> Bool {
            switch (list.baseNumber, other.list.baseNumber) {
            case (nil, nil): list.isNoOlder(than: other.list)
            case (nil, _): list.number.map { $0 >= other.list.number ?? $0 } ?? false
            case (_, nil): false
            case (let base?, let otherBase?): base <= otherBase && list.isNoOlder(than: other.list)
            }
        }
    }

    /// Lists that are kept although nobody known has signed them: the authority may be loaded later.
    static let maximumUnsigned = 64

    /// Adds lists, without those that others make superfluous. `certificates` may have the keys that signed them.
    public mutating func insert(
        _ lists: some Sequence<RevocationList>, signedByOneOf certificates: [Certificate]
    ) {
        // The signers of earlier ones may be known by now.
        let unsigned = entries.filter { $0.signer == nil }.map(\.list)
        entries.removeAll { $0.signer == nil }
        for list in unsigned + lists {
            let signer = certificates.first { list.isSigned(by: $0) }?.publicKeyHash
            place(Entry(list: list, signer: signer))
        }
        let surplus = entries.count { $0.signer == nil } - Self.maximumUnsigned
        for _ in 0..<Swift.max(0, surplus) {
            if let index = entries.firstIndex(where: { $0.signer == nil }) { entries.remove(at: index) }
        }
    }

    /// Puts a list in its place. Of two that are equally new the later one counts.
    private mutating func place(_ new: Entry) {
        if entries.contains(where: { $0.list == new.list }) { return }
        if new.signer != nil {
            let related = entries.filter { $0.hasScope(of: new) }
            if related.contains(where: { $0.outdates(new) && !new.outdates($0) }) { return }
            entries.removeAll { $0.hasScope(of: new) && new.outdates($0) }
        }
        entries.append(new)
    }
}

extension RevocationListSet: RandomAccessCollection, ExpressibleByArrayLiteral {
    public var startIndex: Int { entries.startIndex }
    public var endIndex: Int { entries.endIndex }
    public subscript(index: Int) -> RevocationList { entries[index].list }

    public init(arrayLiteral lists: RevocationList...) { self.init(lists) }

    /// Lists whose signers are not known.
    public init(_ lists: some Sequence<RevocationList>) { insert(lists, signedByOneOf: []) }
}

extension RevocationList {
    /// Whether the list is no older than another, by date and number. Where these disagree, as when an authority has
    /// begun to count anew, neither is the newer one.
    func isNoOlder(than other: RevocationList) -> Bool {
        if let number, let otherNumber = other.number, number < otherNumber { return false }
        return thisUpdate >= other.thisUpdate
    }
}
