package embedded

import (
	"time"

	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/primitives"
)

const (
	// clusterName and shards are written into the file when it is created; the
	// file's values win ever after.
	clusterName = "active"
	// One shard: SQLite has one writer, more shards only add polling.
	shards = 1

	archivalDisabled = "disabled"
)

// serverConfig is what a configuration file would say: four services in this
// process, no metrics listener, no profiler, no archival, no other cluster.
func serverConfig(p *ports, store *config.SQL) *config.Config {
	service := func(r reservation) config.Service {
		return config.Service{RPC: config.RPC{GRPCPort: r.port, BindOnIP: r.ip}}
	}
	return &config.Config{
		Persistence: config.Persistence{
			DefaultStore:     sqlite.PluginName,
			VisibilityStore:  sqlite.PluginName,
			NumHistoryShards: shards,
			DataStores:       map[string]config.DataStore{sqlite.PluginName: {SQL: store}},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10,
			MasterClusterName:        clusterName,
			CurrentClusterName:       clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{
				clusterName: {
					Enabled:                true,
					InitialFailoverVersion: 1,
					// The server rewrites the stored address when it finds
					// another here, so ports may change between starts.
					RPCAddress: p.frontendAddr(),
				},
			},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Services: map[string]config.Service{
			string(primitives.FrontendService): service(p.frontend),
			string(primitives.HistoryService):  service(p.history),
			string(primitives.MatchingService): service(p.matching),
			string(primitives.WorkerService):   service(p.worker),
		},
		Archival: config.Archival{
			History:    config.HistoryArchival{State: archivalDisabled},
			Visibility: config.VisibilityArchival{State: archivalDisabled},
		},
		NamespaceDefaults: config.NamespaceDefaults{
			Archival: config.ArchivalNamespaceDefaults{
				History:    config.HistoryArchivalNamespaceDefaults{State: archivalDisabled},
				Visibility: config.VisibilityArchivalNamespaceDefaults{State: archivalDisabled},
			},
		},
		PublicClient: config.PublicClient{HostPort: p.frontendAddr()},
	}
}

// unlimited stands where Temporal wants a rate: more than this machine can do.
const unlimited = 100_000

// dynamicConfig is Temporal's run-time configuration for one machine that
// belongs to one developer or one load test.
func dynamicConfig(o Options) dynamicconfig.Client {
	c := dynamicconfig.StaticClient{
		// A search attribute is usable as soon as it is registered.
		dynamicconfig.ForceSearchAttributesCacheRefreshOnRead.Key(): true,

		// The limits protect shared clusters; here they would be the first
		// ceiling a load test meets, and visibility's (10 a second) the first
		// a person clicking through the UI meets.
		dynamicconfig.FrontendRPS.Key():                                                        unlimited,
		dynamicconfig.FrontendMaxNamespaceRPSPerInstance.Key():                                 unlimited,
		dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance.Key():                       unlimited,
		dynamicconfig.FrontendMaxNamespaceNamespaceReplicationInducingAPIsRPSPerInstance.Key(): unlimited,
		dynamicconfig.FrontendMaxConcurrentLongRunningRequestsPerInstance.Key():                unlimited,
		dynamicconfig.HistoryRPS.Key():                                                         unlimited,
		dynamicconfig.MatchingRPS.Key():                                                        unlimited,
		dynamicconfig.FrontendPersistenceMaxQPS.Key():                                          unlimited,
		dynamicconfig.HistoryPersistenceMaxQPS.Key():                                           unlimited,
		dynamicconfig.MatchingPersistenceMaxQPS.Key():                                          unlimited,
		dynamicconfig.WorkerPersistenceMaxQPS.Key():                                            unlimited,
		dynamicconfig.VisibilityPersistenceMaxReadQPS.Key():                                    unlimited,
		dynamicconfig.VisibilityPersistenceMaxWriteQPS.Key():                                   unlimited,

		// Per shard, and there is one: at the default of 20 every step in a busy
		// chat waits up to 50 ms; without limit throughput falls by 15 %.
		dynamicconfig.TransferProcessorMaxPollRPS.Key(): 100,

		// A run that continues as new within a second of its start is otherwise
		// held back for the rest of that second.
		dynamicconfig.WorkflowIdReuseMinimalInterval.Key(): 10 * time.Millisecond,

		// Tasks are not handed to a worker that is about to stop, where they
		// would lie until their time-out.
		dynamicconfig.EnableCancelWorkerPollsOnShutdown.Key(): true,

		// The scanners look for damage of stores without transactions, each
		// with pollers and a system workflow of its own.
		dynamicconfig.HistoryScannerEnabled.Key():   false,
		dynamicconfig.TaskQueueScannerEnabled.Key(): false,

		// The server asks its maker for a newer version otherwise.
		dynamicconfig.EnableServerVersionCheck.Key(): false,
	}
	if o.SuggestContinueAsNewAfter != 0 {
		c[dynamicconfig.HistoryCountSuggestContinueAsNew.Key()] = o.SuggestContinueAsNewAfter
	}
	return c
}
