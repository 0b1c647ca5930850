/// A flag whose value cannot work: which, why, and what to give instead.
public struct OptionError: Error, Hashable, Sendable, CustomStringConvertible {
    public var flag: String
    public var value: String
    public var reason: String
    public var remedy: String

    public var description: String { "\(flag) \(value): \(reason); \(remedy)" }
}

extension GatewayOptions {
    /// Checks every value against its bounds and against the others, without looking at the machine.
    public func validate() throws(OptionError) {
        try validateInterfaces()
        try validateWorkers()
        try validateMemory()
        try validateNegotiation()
        try within("--replay-window", replayWindow, 32...65_536, unless: 0, "packets (0 turns replay protection off)")
        if let mtu { try within("--mtu", mtu, 576...9_000, "bytes") }
        guard !controlSocket.isEmpty, controlSocket.utf8.count < 108 else {
            throw OptionError(
                flag: "--control", value: controlSocket, reason: "a socket's path has 1 to 107 bytes",
                remedy: "give a shorter path")
        }
    }

    private func validateInterfaces() throws(OptionError) {
        for (flag, names) in [("--lan", lan), ("--wan", wan)] {
            guard !names.isEmpty else {
                throw OptionError(
                    flag: flag, value: "", reason: "no interface is named",
                    remedy: "name at least one, e.g. \(flag) eth0")
            }
            for name in names where !Self.isInterfaceName(name) {
                throw OptionError(
                    flag: flag, value: name, reason: "an interface's name has 1 to 15 bytes, no blank and no slash",
                    remedy: "list names with `ip link`, separated by commas")
            }
            if Set(names).count < names.count {
                throw OptionError(
                    flag: flag, value: names.joined(separator: ","), reason: "an interface is named twice",
                    remedy: "name each once")
            }
        }
    }

    private func validateWorkers() throws(OptionError) {
        if let workers { try within("--workers", workers, 1...256, "threads") }
        try within("--batch", batch, 1...256, "packets")
        guard let cores else { return }
        let text = cores.map(String.init).joined(separator: ",")
        for core in cores { try within("--cores", core, 0...1023, "for a core's number") }
        if Set(cores).count < cores.count {
            throw OptionError(
                flag: "--cores", value: text, reason: "a core is named twice",
                remedy: "give each worker a core of its own")
        }
        if let workers, cores.count != workers {
            throw OptionError(
                flag: "--cores", value: text, reason: "\(cores.count) cores for \(workers) workers",
                remedy: "name as many cores as --workers says, or leave one of the two out")
        }
    }

    private func validateMemory() throws(OptionError) {
        guard [2048, 4096].contains(frameSizeInBytes) else {
            throw OptionError(
                flag: "--frame-size", value: "\(frameSizeInBytes)", reason: "AF_XDP knows frames of two sizes",
                remedy: "give 2048, or 4096 for an MTU above 1500")
        }
        try within("--ring-size", ringSize, 64...32_768, "descriptors")
        guard ringSize.nonzeroBitCount == 1 else {
            throw OptionError(
                flag: "--ring-size", value: "\(ringSize)", reason: "the kernel wants a power of two",
                remedy: "give e.g. 1024 or 2048")
        }
        if let frames { try within("--frames", frames, 256...16_777_216, "frames") }
    }

    func within(
        _ flag: String, _ value: Int, _ range: ClosedRange<Int>, unless exception: Int? = nil, _ unit: String
    ) throws(OptionError) {
        guard !range.contains(value), value != exception else { return }
        throw OptionError(
            flag: flag, value: "\(value)", reason: "out of range",
            remedy: "give \(range.lowerBound) to \(range.upperBound) \(unit)")
    }

    /// What the kernel takes as an interface's name (`dev_valid_name`).
    static func isInterfaceName(_ name: String) -> Bool {
        let bytes = name.utf8
        return (1...15).contains(bytes.count) && name != "." && name != ".."
            && bytes.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: ":") }
    }
}
