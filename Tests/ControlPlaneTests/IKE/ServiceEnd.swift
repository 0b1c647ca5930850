import Configuration
import Cryptography
import Foundation
import IKEv2
import IPsec
import Logging
import NIOCore
import Packets

@testable import ControlPlane

/// Accepts all SAs, and knows how many there are.
final class CountingDataplane: ChildDataplane {
    private(set) var inbound = 0
    private(set) var outbound = 0
    var whenSettled: () -> Void = {}
    private var lastSPI: SPI = 0x1000

    func allocateSPI() throws(InstallationError) -> SPI {
        lastSPI += 1
        return lastSPI
    }
    func releaseSPI(_ spi: SPI) {}
    func installInbound(_ sa: ChildSA) throws(InstallationError) { inbound += 1 }
    func installOutbound(_ sa: ChildSA) throws(InstallationError) { outbound += 1 }
    func removeInbound(_ sa: ChildSA) { inbound -= 1 }
    func removeOutbound(_ sa: ChildSA) { outbound -= 1 }
    func move(_ sa: ChildSA, to path: Path, isEncapsulated: Bool) {}
    func cover(_ cover: ChildCover) throws(InstallationError) {}
    func uncover(connection: String, child: String) {}
    func settle() { whenSettled() }
    func usage(of sa: ChildSA) -> ChildUsage? { ChildUsage() }
}

/// A service on one address of the loopback interface. Only used on its event loop.
final class ServiceEnd {
    let service: IKEService
    let dataplane = CountingDataplane()
    private let address: IPAddress
    private let port: UInt16
    private let timer: RepeatedTask

    init(_ address: IPAddress, port: UInt16, keyLog: String?, on eventLoop: any EventLoop) throws {
        var options = IKEService.Options()
        options.ports = IKEPorts(plain: port, encapsulated: port + 1)
        options.addresses = [address]
        options.keyLog = keyLog
        self.address = address
        self.port = port
        let service = try IKEService(
            options, dataplane: dataplane, clock: { Instant(nanoseconds: DispatchTime.now().uptimeNanoseconds) },
            wallClock: { Int64(Date().timeIntervalSince1970) }, eventLoop: eventLoop,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        self.service = service
        let bound = NIOLoopBound(service, eventLoop: eventLoop)
        timer = eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: .milliseconds(10)) { _ in
            bound.value.tick()
        }
        service.start()
    }

    /// A connection `site` with a child `net`, by pre-shared key.
    func load(_ secret: String, peer: IPAddress) throws {
        var connection = Connection(
            name: "site", proposals: IKEProposal.default,
            local: LocalAuthentication(method: .preSharedKey, identity: .address(address)),
            remote: RemoteAuthentication(method: .preSharedKey, identity: .address(peer)))
        connection.localAddresses = [.range(AddressRange(address))]
        connection.remoteAddresses = [.range(AddressRange(peer))]
        connection.localPort = port
        connection.remotePort = port
        connection.children = [Child(name: "net", proposals: ChildProposal.default)]
        var credentials = Credentials()
        credentials.sharedKeys = [
            Credentials.SharedKey(name: "ike", owners: [], secret: SecretBytes(copying: Array(secret.utf8)))
        ]
        service.load(SwanctlConfiguration(connections: [connection], credentials: credentials))
    }

    func stop() {
        timer.cancel()
        service.stop()
    }
}
