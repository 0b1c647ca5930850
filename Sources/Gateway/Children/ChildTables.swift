import Cryptography
import IKEv2
import Logging
import Policy

/// The gateway's tables of CHILD_SAs by themselves, as `sluice bench --ike` measures them.
package enum ChildTables {
    /// Tables for one worker, with nothing configured. They do not keep `host`.
    package static func make(around host: any ChildPublishing, logger: Logger) -> any ChildDataplane {
        let dataplane = GatewayDataplane(
            builder: SnapshotBuilder(workers: 1), configured: [], engine: OpenSSLEngine(), logger: logger)
        dataplane.host = host
        return dataplane
    }
}
