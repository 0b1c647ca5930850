import IKEv2
import IPsec
import Packets

/// CHILD_SAs that carry nothing.
final class UnattachedDataplane: ChildDataplane {
    func allocateSPI() throws(InstallationError) -> UInt32 { UInt32.random(in: 256 ... .max) }
    func releaseSPI(_ spi: UInt32) {}
    func installInbound(_ sa: ChildSA) throws(InstallationError) {}
    func installOutbound(_ sa: ChildSA) throws(InstallationError) {}
    func removeInbound(_ sa: ChildSA) {}
    func removeOutbound(_ sa: ChildSA) {}
    func move(_ sa: ChildSA, to path: Path, isEncapsulated: Bool) {}
    func installTrap(_ trap: TrapPolicy) throws(InstallationError) {}
    func removeTrap(requestID: UInt32) {}
    func usage(of sa: ChildSA) -> ChildUsage? { nil }
}
