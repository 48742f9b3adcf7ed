export { createProvider, type EvaluatingClient, type ProviderOptions } from './create-provider.ts'
