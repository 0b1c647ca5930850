import CLibBPF

#if canImport(Glibc)
    import Glibc
#endif

/// A BPF map's descriptor, closed when released.
final class BPFMap: Sendable {
    let name: String
    let descriptor: Int32

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
        guard result >= 0 else { throw .bpf(place: "create the map \(name)", errno: -result) }
        self.name = name
        descriptor = result
    }

    /// Takes over a copy of a descriptor.
    init(name: String, copying descriptor: Int32) throws(XDPError) {
        let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
        guard copy >= 0 else { throw .systemCall(place: "copy the descriptor of the map \(name)", errno: errno) }
        self.name = name
        self.descriptor = copy
    }

    deinit { close(descriptor) }

    func set<Key: BitwiseCopyable, Value: BitwiseCopyable>(_ key: Key, to value: Value) throws(XDPError) {
        let result = withUnsafePointer(to: key) { key in
            withUnsafePointer(to: value) { value in bpf_map_update_elem(descriptor, key, value, UInt64(BPF_ANY)) }
        }
        guard result == 0 else { throw .mapUpdate(map: name, errno: -result) }
    }

    /// Removes an entry; that there was none is no error.
    func remove<Key: BitwiseCopyable>(_ key: Key) throws(XDPError) {
        let result = withUnsafePointer(to: key) { bpf_map_delete_elem(descriptor, $0) }
        guard result == 0 || result == -ENOENT else { throw .mapUpdate(map: name, errno: -result) }
    }
}
