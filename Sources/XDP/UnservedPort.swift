/// An interface with a steering program and no sockets: what would have to be protected is dropped there, and the rest passes.
///
/// For a port whose interface was removed and is back: the sockets of the old one cannot move to it.
public final class UnservedPort: Sendable {
    /// The interface as it was when the program was attached.
    public let interface: NetworkInterface
    /// Its steering program, which stays on the interface when this object is gone.
    public let program: SteeringProgram
    private let lock: PortLock

    /// Attaches a program in the calling thread's network namespace.
    public init(
        interface name: String, roles: PortRoles, tables: SteeringTables, options: PortOptions = PortOptions()
    ) throws(XDPError) {
        let interface = try NetworkInterface(named: name)
        lock = try PortLock(interface)
        let link = PortLink(interface.macAddress, roles: roles)
        program = try ProgramAttachment(to: interface, mode: options.xdpMode, force: options.force) {
            (load) throws(XDPError) in
            try SteeringProgram(
                tables: tables, links: [link], encapsulationPort: options.encapsulationPort, load: load)
        }.program
        self.interface = interface
    }
}
