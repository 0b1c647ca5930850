import IKEv2

/// One kind of value: how it is read from a section, how reports show it, and what the manual says of it.
package struct ValueForm<Value: Sendable>: Sendable {
    /// The words of the manual: "seconds, or with s, m, h or d".
    let manual: String
    /// The value of a key; the one that is given for where it is not set, or is wrong, which is then reported.
    let read: @Sendable (SectionReader, String, Value) -> Value
    let listed: @Sendable (Value) -> ListedValue
}

extension ValueForm where Value == Bool {
    static var flag: Self {
        Self(manual: "yes or no", read: { $0.flag($1, default: $2) }, listed: { .flag($0) })
    }
}

extension ValueForm where Value: RawRepresentable<String> & CaseIterable {
    /// One of the words of an enumeration.
    static var choice: Self {
        Self(
            manual: SectionReader.alternatives(Value.allCases.map(\.rawValue)), read: { $0.choice($1, default: $2) },
            listed: { .text($0.rawValue) })
    }
}

extension ValueForm where Value: FixedWidthInteger & UnsignedInteger {
    static func number(in range: ClosedRange<Value> = 0...Value.max) -> Self {
        Self(
            manual: "\(range.lowerBound) to \(range.upperBound)", read: { $0.number($1, default: $2, in: range) },
            listed: { .number(UInt64($0)) })
    }
}

extension ValueForm where Value == UInt64 {
    static var seconds: Self {
        Self(
            manual: "seconds, or with s, m, h or d", read: { $0.seconds($1) ?? $2 }, listed: { .number($0) })
    }

    static var bytes: Self {
        Self(manual: "bytes, or with k, m or g", read: { $0.bytes($1) ?? $2 }, listed: { .number($0) })
    }

    static var packets: Self { Self(manual: "packets", read: { $0.packets($1) ?? $2 }, listed: { .number($0) }) }
}

extension ValueForm where Value == [IKEProposal] {
    static var ikeProposals: Self {
        Self(
            manual: "proposals, or `default`",
            read: { reader, key, preset in
                reader.proposals(key, default: preset) { IKEProposal.reading($0, rules: $1) }
            }, listed: { .list($0.map(\.description)) })
    }
}

extension ValueForm where Value == [AddressPattern] {
    static var addresses: Self {
        Self(
            manual: "addresses, subnets, ranges, names or `%any`",
            read: { reader, key, _ in ConnectionTranslation.addresses(key, reader) },
            listed: { .list($0.map(\.description)) })
    }
}

extension ValueForm where Value == [SelectorSide] {
    static var selectors: Self {
        Self(
            manual: "networks, ranges or `dynamic`, with `[protocol/port]`",
            read: { reader, key, _ in ChildTranslation.selectors(key, reader) },
            listed: { .list($0.map(\.description)) })
    }
}
