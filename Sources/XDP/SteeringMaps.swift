import CLibBPF
import Packets
import Platform

/// The maps that the steering programs of all ports share, and how keys and values lie in them.
struct SteeringMaps: Sendable {
    let control, local, inside4, inside6, tuples4, tuples6, rules4, rules6, lists: BPFMap

    /// Creates empty maps.
    /// - Parameters:
    ///   - rules: how many rules fit, of each family.
    ///   - lists: how many pairs of networks fit for which protocol and ports matter.
    init(rules: Int, lists: Int) throws(XDPError) {
        func hash<Key, Value>(_ name: String, _: Key.Type, _: Value.Type, _ capacity: Int32) throws(XDPError) -> BPFMap
        {
            try BPFMap(
                creating: name, type: BPF_MAP_TYPE_HASH, keySize: MemoryLayout<Key>.size,
                valueSize: MemoryLayout<Value>.size, capacity: capacity)
        }
        func trie<Key>(_ name: String, _: Key.Type) throws(XDPError) -> BPFMap {
            try BPFMap(
                creating: name, type: BPF_MAP_TYPE_LPM_TRIE, keySize: MemoryLayout<Key>.size, valueSize: 1,
                capacity: SLUICE_MAX_INSIDE)
        }
        func array<Value>(_ name: String, _: Value.Type, _ capacity: Int32) throws(XDPError) -> BPFMap {
            try BPFMap(
                creating: name, type: BPF_MAP_TYPE_ARRAY, keySize: MemoryLayout<UInt32>.size,
                valueSize: MemoryLayout<Value>.size, capacity: capacity, flags: 0)
        }
        control = try array("sluice_control", sluice_control.self, 1)
        local = try hash("sluice_local", sluice_address.self, UInt8.self, SLUICE_MAX_LOCAL)
        inside4 = try trie("sluice_inside4", sluice_prefix4.self)
        inside6 = try trie("sluice_inside6", sluice_prefix6.self)
        tuples4 = try array("sluice_tuples4", sluice_tuple4.self, SLUICE_MAX_TUPLES)
        tuples6 = try array("sluice_tuples6", sluice_tuple6.self, SLUICE_MAX_TUPLES)
        rules4 = try hash("sluice_rules4", sluice_rule4.self, sluice_rule.self, Int32(clamping: rules))
        rules6 = try hash("sluice_rules6", sluice_rule6.self, sluice_rule.self, Int32(clamping: rules))
        self.lists = try hash("sluice_lists", UInt32.self, sluice_list.self, Int32(clamping: lists))
    }

    var all: [BPFMap] { [control, local, inside4, inside6, tuples4, tuples6, rules4, rules6, lists] }

    // MARK: Addresses

    func add(_ address: IPAddress) throws(XDPError) { try local.set(Self.key(address), to: UInt8(1)) }
    func remove(_ address: IPAddress) throws(XDPError) { try local.remove(Self.key(address)) }

    func setInside(_ prefix: IPPrefix, _ isInside: Bool) throws(XDPError) {
        switch prefix.address.family {
        case .ipv4:
            var key = sluice_prefix4()
            key.length = UInt32(prefix.length)
            withUnsafeMutableBytes(of: &key.bytes) { Self.store(prefix.address, to: $0) }
            if isInside { try inside4.set(key, to: UInt8(prefix.length)) } else { try inside4.remove(key) }
        case .ipv6:
            var key = sluice_prefix6()
            key.length = UInt32(prefix.length)
            withUnsafeMutableBytes(of: &key.bytes) { Self.store(prefix.address, to: $0) }
            if isInside { try inside6.set(key, to: UInt8(prefix.length)) } else { try inside6.remove(key) }
        }
    }

    // MARK: Rules

    /// Writes a tuple's masks; nil lengths: it is not in use.
    func set(_ family: AddressFamily, tuple: Int, _ lengths: SteeringTuples.Lengths?) throws(XDPError) {
        let ones = family == .ipv4 ? IPAddress(ipv4: .max) : IPAddress(ipv6High: .max, low: .max)
        let source = IPPrefix(address: ones, length: lengths?.source ?? 0).address
        let destination = IPPrefix(address: ones, length: lengths?.destination ?? 0).address
        switch family {
        case .ipv4:
            var value = sluice_tuple4()
            value.used = lengths == nil ? 0 : 1
            withUnsafeMutableBytes(of: &value.source) { Self.store(source, to: $0) }
            withUnsafeMutableBytes(of: &value.destination) { Self.store(destination, to: $0) }
            try tuples4.set(UInt32(tuple), to: value)
        case .ipv6:
            var value = sluice_tuple6()
            value.used = lengths == nil ? 0 : 1
            withUnsafeMutableBytes(of: &value.source) { Self.store(source, to: $0) }
            withUnsafeMutableBytes(of: &value.destination) { Self.store(destination, to: $0) }
            try tuples6.set(UInt32(tuple), to: value)
        }
    }

    /// Writes the rule of a pair of networks, or removes it.
    /// - Parameter list: the number of the list that says more than the first entry; 0: there is none.
    func set(_ place: SteeringRuleBook.Place, to first: SteeringEntries.Entry?, list: UInt32) throws(XDPError) {
        var value = sluice_rule()
        if let first {
            value.order = Self.order(first)
            value.list = list
            value.destination_length = UInt8(clamping: first.narrowness)
        }
        switch place.family {
        case .ipv4:
            var key = sluice_rule4()
            key.tuple = UInt32(place.tuple)
            withUnsafeMutableBytes(of: &key.source) { Self.store(place.source.address, to: $0) }
            withUnsafeMutableBytes(of: &key.destination) { Self.store(place.destination.address, to: $0) }
            if first != nil { try rules4.set(key, to: value) } else { try rules4.remove(key) }
        case .ipv6:
            var key = sluice_rule6()
            key.tuple = UInt32(place.tuple)
            withUnsafeMutableBytes(of: &key.source) { Self.store(place.source.address, to: $0) }
            withUnsafeMutableBytes(of: &key.destination) { Self.store(place.destination.address, to: $0) }
            if first != nil { try rules6.set(key, to: value) } else { try rules6.remove(key) }
        }
    }

    /// The most entries of a list.
    static let entriesPerList = Int(SLUICE_MAX_ENTRIES)

    /// Writes a list of `entriesPerList` entries at most.
    func setList(_ number: UInt32, to entries: [SteeringEntries.Entry]) throws(XDPError) {
        var value = sluice_list()
        value.count = UInt32(entries.count)
        withUnsafeMutableBytes(of: &value.entries) { bytes in
            for (index, entry) in entries.prefix(Self.entriesPerList).enumerated() {
                bytes.storeBytes(
                    of: Self.raw(entry), toByteOffset: index * MemoryLayout<sluice_entry>.stride, as: sluice_entry.self)
            }
        }
        try lists.set(number, to: value)
    }

    func removeList(_ number: UInt32) throws(XDPError) { try lists.remove(number) }

    private static func raw(_ entry: SteeringEntries.Entry) -> sluice_entry {
        var raw = sluice_entry()
        raw.order = order(entry)
        raw.source_first = entry.upper.sourcePorts.lowerBound
        raw.source_last = entry.upper.sourcePorts.upperBound
        raw.destination_first = entry.upper.destinationPorts.lowerBound
        raw.destination_last = entry.upper.destinationPorts.upperBound
        raw.protocol = entry.upper.protocol ?? 0
        raw.protocol_mask = entry.upper.protocol == nil ? 0 : .max
        raw.ports_mask = entry.upper.isAnyPort ? 0 : .max
        raw.destination_length = UInt8(clamping: entry.narrowness)
        return raw
    }

    /// The action lies below the precedence.
    private static func order(_ entry: SteeringEntries.Entry) -> UInt64 {
        min(entry.precedence, UInt64.max >> 2 - 1) << 2 | UInt64(entry.action.rawValue)
    }

    func setControl(closed: Bool, tuples4: Int, tuples6: Int, lists: Int) throws(XDPError) {
        let value = sluice_control(
            closed: closed ? 1 : 0, tuples4: UInt32(tuples4), tuples6: UInt32(tuples6), lists: UInt32(lists))
        try control.set(UInt32(0), to: value)
    }

    /// IPv4 addresses are written IPv4-mapped.
    private static func key(_ address: IPAddress) -> sluice_address {
        var key = sluice_address()
        withUnsafeMutableBytes(of: &key.bytes) { bytes in
            switch address.family {
            case .ipv4:
                bytes[10] = 0xff
                bytes[11] = 0xff
                store(address, to: UnsafeMutableRawBufferPointer(rebasing: bytes[12...]))
            case .ipv6: store(address, to: bytes)
            }
        }
        return key
    }

    private static func store(_ address: IPAddress, to bytes: UnsafeMutableRawBufferPointer) {
        if let base = bytes.baseAddress { address.store(to: base) }
    }
}

/// A BPF map's descriptor, closed when released.
final class BPFMap: Sendable {
    let name: String
    private let owner: Descriptor

    var descriptor: Int32 { owner.number }

    /// Creates a map of its own, as `bpf/steering.bpf.c` describes it.
    init(
        creating name: String, type: bpf_map_type, keySize: Int, valueSize: Int, capacity: Int32,
        flags: UInt32 = UInt32(BPF_F_NO_PREALLOC)
    ) throws(XDPError) {
        var options = bpf_map_create_opts()
        options.sz = MemoryLayout<bpf_map_create_opts>.size
        options.map_flags = flags
        let result = bpf_map_create(
            type, name, UInt32(keySize), UInt32(valueSize), UInt32(bitPattern: capacity), &options)
        do { owner = try Descriptor(result: result) } catch {
            throw .bpf(place: "create the map \(name)", errno: error.rawValue)
        }
        self.name = name
    }

    /// Takes over a copy of a descriptor.
    init(name: String, copying descriptor: Int32) throws(XDPError) {
        do { owner = try Descriptor(copying: descriptor) } catch {
            throw .systemCall(place: "copy the descriptor of the map \(name)", errno: error.rawValue)
        }
        self.name = name
    }

    func set<Key: BitwiseCopyable, Value: BitwiseCopyable>(_ key: Key, to value: Value) throws(XDPError) {
        let result = withUnsafePointer(to: key) { key in
            withUnsafePointer(to: value) { value in bpf_map_update_elem(descriptor, key, value, UInt64(BPF_ANY)) }
        }
        guard result == 0 else { throw .mapUpdate(map: name, errno: -result) }
    }

    /// Removes an entry; that there was none is no error.
    func remove<Key: BitwiseCopyable>(_ key: Key) throws(XDPError) {
        let result = withUnsafePointer(to: key) { bpf_map_delete_elem(descriptor, $0) }
        guard result == 0 || result == -Errno.noSuchFileOrDirectory.rawValue else {
            throw .mapUpdate(map: name, errno: -result)
        }
    }
}
