import Testing

/// Live gateways in network namespaces, against each other and against peers that are not ours.
///
/// One test at a time: they share two cores with the gateways they start, and a test that waits for packets should not
/// have to wait for its neighbours.
@Suite("Live gateways", .serialized)
enum LiveGateways {}
