import Platform

/// Keeps keys inside the process.
enum ProcessHardening {
    /// Keys out of core dumps, out of debuggers without privileges, and out of swap space, wherever in the process they are: in
    /// blocks of our own, in libcrypto's heap (key schedules, GCM tables, private keys) or on a stack.
    ///
    /// To be called before the first key is read. Returns what could not be had.
    static func apply() -> [Weakness] {
        var weaknesses: [Weakness] = []
        // This also gives /proc/self to root, which a gateway does not mind.
        do { try CurrentProcess.forbidDumps() } catch { weaknesses.append(.dumps(error.rawValue)) }
        CurrentProcess.forbidCoreFiles()
        do { try lockMemory() } catch { weaknesses.append(.swap(error.rawValue)) }
        return weaknesses
    }

    /// Pages are locked when they are first touched, so that tables which few packets use stay small.
    private static func lockMemory() throws(Errno) {
        // Under a limit that holds, later allocations would fail instead of this call.
        guard mayLockEverything() else { throw .notPermitted }
        try CurrentProcess.lockMemory()
    }

    private static func mayLockEverything() -> Bool {
        if let effective = Files.text(of: "/proc/self/status").flatMap(Privileges.effectiveSet),
            !Privileges.missing(in: effective).contains(where: { $0.name == "CAP_IPC_LOCK" })
        {
            return true
        }
        return CurrentProcess.mayLockAnyMemory
    }

    /// Weaknesses that an attacker with the machine's disk might use.
    enum Weakness: Equatable {
        /// The memory could not be locked; errno.
        case swap(Int32)
        /// Dumps could not be forbidden; errno.
        case dumps(Int32)

        /// A part of the process that is not protected, why, and the remedy.
        var description: String {
            switch self {
            case .swap(let error):
                """
                memory is not locked (\(Errno(rawValue: error))): what libcrypto holds of keys, that is key \
                schedules, GCM tables, private keys and IKE's key exchange values, may reach swap space; grant CAP_IPC_LOCK, \
                raise the limit of locked memory (ulimit -l, LimitMEMLOCK=infinity), or turn swap off
                """
            case .dumps(let error):
                """
                core dumps are not forbidden (\(Errno(rawValue: error))): only blocks of keys are left out of them, \
                not what libcrypto holds; set the limit of core files to 0 (ulimit -c 0, LimitCORE=0)
                """
            }
        }
    }

    /// One descriptor per queue, ring and event; the default soft limit of 1024 is for `select`.
    static func raiseDescriptorLimit() { CurrentProcess.raiseDescriptorLimit() }
}

/// The privileges of the process, and those that it needs.
enum Privileges {
    /// A capability of capabilities(7) that the gateway needs, and why.
    struct Need: Hashable {
        let name: String
        /// Bit in the capability sets of `/proc/self/status`.
        let bit: Int
        let purpose: String
        /// A wider capability that includes it, if any.
        var wider: Int?

        static let netAdmin = Need(
            name: "CAP_NET_ADMIN", bit: 12, purpose: "attach the XDP program, close the boundary and follow the network"
        )
    }

    private static let sysAdmin = 21

    static let needs = [
        .netAdmin,
        Need(name: "CAP_NET_RAW", bit: 13, purpose: "open AF_XDP sockets"),
        Need(name: "CAP_BPF", bit: 39, purpose: "load the XDP program", wider: sysAdmin),
        // Without it the verifier refuses packet pointers that go by a length of the packet.
        Need(name: "CAP_PERFMON", bit: 38, purpose: "load the XDP program", wider: sysAdmin),
        Need(name: "CAP_IPC_LOCK", bit: 14, purpose: "keep packet memory and keys out of swap"),
    ]

    /// The needs that an effective capability set (bits) does not meet.
    static func missing(in effective: UInt64, of needs: [Need] = Self.needs) -> [Need] {
        func has(_ bit: Int) -> Bool { effective >> UInt64(bit) & 1 == 1 }
        return needs.filter { need in !has(need.bit) && !(need.wider.map(has) ?? false) }
    }

    /// `CapEff` of the text of `/proc/self/status`.
    static func effectiveSet(ofStatus text: String) -> UInt64? {
        for line in text.split(separator: "\n") where line.hasPrefix("CapEff:") {
            return line.split(whereSeparator: \.isWhitespace).last.flatMap { UInt64($0, radix: 16) }
        }
        return nil
    }

    /// Throws when a capability is missing, naming all that are, so that one attempt is enough to know.
    static func check(_ needs: [Need] = Self.needs) throws(GatewayError) {
        guard let effective = Files.text(of: "/proc/self/status").flatMap(effectiveSet) else { return }
        let missing = missing(in: effective, of: needs)
        guard !missing.isEmpty else { return }
        let list = missing.map { "\($0.name) (to \($0.purpose))" }.joined(separator: ", ")
        let names = missing.map(\.name).joined(separator: " ")
        throw GatewayError(
            .environment, "missing privileges: \(list)",
            remedy: "run as root, or give the systemd unit AmbientCapabilities=\(names)")
    }
}
