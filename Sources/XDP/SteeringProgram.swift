import BPFObjects
import CLibBPF
public import Packets
import Platform
import Synchronization

/// The steering program of one port, loaded into the kernel.
///
/// It shares ``SteeringTables`` with all other ports; the links, the sockets and the counters are the port's own. Until a
/// queue has a socket, packets that belong there are dropped; so they are when this object is gone and the program is
/// still on its interface.
public final class SteeringProgram: @unchecked Sendable {
    /// The program's descriptor, as long as this object lives.
    public let fileDescriptor: Int32
    /// The kernel's id of the program.
    public let id: UInt32
    private let object: OpaquePointer
    private let memory: UnsafeMutableRawPointer
    private let sockets, counters, links: BPFMap
    private let currentLinks = Mutex(Set<PortLink>())
    /// The tables' maps must outlive their use here.
    private let tables: SteeringTables

    /// Queues per port that can have a socket.
    public static let maximumQueues = Int(SLUICE_MAX_QUEUES)

    /// Loads the embedded program. `links` are the addresses that the port's frames may have; all others are the host's.
    public convenience init(
        tables: SteeringTables, links: Set<PortLink>, encapsulationPort: UInt16 = IPsecPort.encapsulation
    ) throws(XDPError) {
        try self.init(tables: tables, links: links, encapsulationPort: encapsulationPort) { bpf_object__load($0) }
    }

    /// - Parameter load: loads the program, and may attach it at once; 0 or a negative errno.
    init(
        tables: SteeringTables, links: Set<PortLink>, encapsulationPort: UInt16,
        load: (OpaquePointer) throws(XDPError) -> Int32
    ) throws(XDPError) {
        let size = BPFObjects.steeringSize
        let memory = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
        var object: OpaquePointer?
        do throws(XDPError) {
            BPFObjects.writeSteering(to: memory)
            let linkMap = try BPFMap(
                creating: "sluice_links", type: BPF_MAP_TYPE_HASH, keySize: MemoryLayout<sluice_link>.size,
                valueSize: MemoryLayout<UInt32>.size, capacity: SLUICE_MAX_LINKS)
            for link in links { try linkMap.set(link.key, to: link.roles.rawValue) }
            object = try Self.load(
                memory, size: size, maps: tables.maps.all + [linkMap], port: encapsulationPort, load: load)
            guard let object, let program = bpf_object__find_program_by_name(object, SLUICE_PROGRAM) else {
                throw .programRejected(
                    errno: Errno.noSuchFileOrDirectory.rawValue, log: "the object holds no program \(SLUICE_PROGRAM)")
            }
            fileDescriptor = bpf_program__fd(program)
            sockets = try Self.map(object, "sluice_sockets")
            counters = try Self.map(object, "sluice_counters")
            self.links = linkMap
            id = try ProgramIdentity.id(of: fileDescriptor)
            self.object = object
            self.memory = memory
            self.tables = tables
        } catch {
            bpf_object__close(object)
            memory.deallocate()
            throw error
        }
        currentLinks.withLock { $0 = links }
    }

    deinit {
        bpf_object__close(object)
        memory.deallocate()
    }

    /// Sends the queue's packets to this socket from now on.
    public func setSocket(queue: Int, fileDescriptor: Int32) throws(XDPError) {
        try sockets.set(UInt32(queue), to: fileDescriptor)
    }

    /// Drops the queue's packets from now on.
    public func removeSocket(queue: Int) throws(XDPError) {
        try sockets.remove(UInt32(queue))
    }

    /// Makes these the links of the port. New ones are added before old ones go.
    public func setLinks(_ wanted: Set<PortLink>) throws(XDPError) {
        try currentLinks.withLock { (current) throws(XDPError) in
            for link in wanted.subtracting(current) {
                try links.set(link.key, to: link.roles.rawValue)
                // Of two with the same address the newer one counts.
                current = current.filter { $0.macAddress != link.macAddress || $0.vlan != link.vlan }
                current.insert(link)
            }
            for link in current.subtracting(wanted) {
                try links.remove(link.key)
                current.remove(link)
            }
        }
    }

    /// Packets by verdict since the program was loaded, over all processors; indexed by ``SteeringVerdict``'s raw value.
    public func verdicts() throws(XDPError) -> [UInt64] {
        let processors = libbpf_num_possible_cpus()
        guard processors > 0 else { throw .systemCall(place: "count the processors", errno: -processors) }
        var perProcessor = [UInt64](repeating: 0, count: Int(processors))
        var sums: [UInt64] = []
        for verdict in SteeringVerdict.allCases {
            var key = verdict.rawValue
            let result = bpf_map_lookup_elem(counters.descriptor, &key, &perProcessor)
            guard result == 0 else { throw .systemCall(place: "read the steering counters", errno: -result) }
            sums.append(perProcessor.reduce(0, &+))
        }
        return sums
    }

    // MARK: Loading

    private static func load(
        _ memory: UnsafeMutableRawPointer, size: Int, maps: [BPFMap], port: UInt16,
        load: (OpaquePointer) throws(XDPError) -> Int32
    ) throws(XDPError) -> OpaquePointer {
        sluice_bpf_quiet()
        let logSize = 1 << 16
        let log = UnsafeMutablePointer<CChar>.allocate(capacity: logSize)
        log.initialize(repeating: 0, count: logSize)
        defer { log.deallocate() }
        guard let object = sluice_bpf_open(memory, size, log, logSize) else {
            throw .programRejected(errno: Errno.last.rawValue, log: "the embedded object can't be read")
        }
        do throws(XDPError) {
            try setConstants(object, port: port)
            for shared in maps {
                let result = bpf_map__reuse_fd(bpf_object__find_map_by_name(object, shared.name), shared.descriptor)
                guard result == 0 else { throw .mapUpdate(map: shared.name, errno: -result) }
            }
            let result = try load(object)
            guard result == 0 else {
                if result == -Errno.notPermitted.rawValue {
                    throw .bpf(place: "load the steering program", errno: -result)
                }
                throw .programRejected(errno: -result, log: String(cString: log))
            }
        } catch {
            bpf_object__close(object)
            throw error
        }
        return object
    }

    /// Writes the program's constants before the kernel freezes them.
    private static func setConstants(_ object: OpaquePointer, port: UInt16) throws(XDPError) {
        var constants = sluice_constants(udp_port: port, unused: 0)
        guard let map = bpf_object__find_map_by_name(object, SLUICE_CONSTANTS_SECTION) else {
            throw .programRejected(errno: Errno.noSuchFileOrDirectory.rawValue, log: "the object has no constants")
        }
        let result = bpf_map__set_initial_value(map, &constants, MemoryLayout<sluice_constants>.size)
        guard result == 0 else { throw .programRejected(errno: -result, log: "the object's constants differ") }
    }

    private static func map(_ object: OpaquePointer, _ name: String) throws(XDPError) -> BPFMap {
        let descriptor = bpf_object__find_map_fd_by_name(object, name)
        guard descriptor >= 0 else { throw .programRejected(errno: -descriptor, log: "the object has no map \(name)") }
        return try BPFMap(name: name, copying: descriptor)
    }
}

/// The verdict of the steering program on a packet; `bpf/steering.h` has the same list.
public enum SteeringVerdict: UInt32, Sendable, CaseIterable {
    /// ESP for the gateway, to the socket.
    case socketESP
    /// AH for the gateway, to the socket.
    case socketAH
    /// UDP-encapsulated ESP for the gateway (RFC 3948), to the socket.
    case socketUDPESP
    /// A packet from the LAN that a rule wants protected or discarded: to the socket.
    case socketProtected
    /// One of the above, but the queue has no socket: dropped.
    case dropNoSocket
    /// A packet in clear from the WAN, though its way back is protected (RFC 4301 section 5.2): dropped.
    case dropClearInbound
    /// A packet from the WAN that would be protected if it came from the LAN: dropped.
    case dropStranger
    /// The rules are not complete, and a missing one may be about this packet: dropped.
    case dropClosed
    /// For another station's MAC address, or of a VLAN that the port does not have: to the host, which drops it.
    case passForeign
    /// ARP, LLDP, two VLAN tags and the like, to the host.
    case passNotIP
    /// Broadcast, multicast or IPv6 link-local destination, to the host.
    case passGroup
    /// For the gateway itself and not for IPsec, to the host.
    case passLocal
    /// UDP 500, or UDP 4500 with the non-ESP marker (RFC 3948 section 2.2): IKE, to the host.
    case passIKE
    /// UDP 4500, a NAT keepalive or too short for an ESP header, to the host.
    case passKeepalive
    /// A fragment of ESP, AH or UDP for the gateway, to the host for reassembly.
    case passOuterFragment
    /// IPv6 extension headers beyond the walk, to the host.
    case passExtensionHeaders
    /// On a WAN port for somebody else, to the host.
    case passNotLocal
    /// A packet from the LAN that a rule lets pass, to the host.
    case passBypass
    /// A packet from the LAN to a network behind a LAN port, to the host.
    case passInside
    /// A packet from the LAN that no rule is about, to the host.
    case passUnprotected
    /// Headers cut short or contradicting themselves, to the host.
    case passMalformed

    /// A stable name for status and metrics.
    public var name: String {
        switch self {
        case .socketESP: "socket-esp"
        case .socketAH: "socket-ah"
        case .socketUDPESP: "socket-udp-esp"
        case .socketProtected: "socket-protected"
        case .dropNoSocket: "drop-no-socket"
        case .dropClearInbound: "drop-clear-inbound"
        case .dropStranger: "drop-stranger"
        case .dropClosed: "drop-closed"
        case .passForeign: "pass-foreign"
        case .passNotIP: "pass-not-ip"
        case .passGroup: "pass-group"
        case .passLocal: "pass-local"
        case .passIKE: "pass-ike"
        case .passKeepalive: "pass-keepalive"
        case .passOuterFragment: "pass-outer-fragment"
        case .passExtensionHeaders: "pass-extension-headers"
        case .passNotLocal: "pass-not-local"
        case .passBypass: "pass-bypass"
        case .passInside: "pass-inside"
        case .passUnprotected: "pass-unprotected"
        case .passMalformed: "pass-malformed"
        }
    }
}
