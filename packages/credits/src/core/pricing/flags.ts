/**
 * Something that a charge had to assume, so that nothing is assumed in silence. Each charge of the ledger keeps its
 * flags.
 */
export type ChargeFlag =
  // What was counted.
  /** Tokens were not reported where the model is billed by them as well. They are not billed. */
  | 'usage_missing'
  /** A count was not reported, or cannot be what was reported. It is estimated, and the charge is marked so. */
  | 'usage_estimated'
  /** A reported count was no count (negative, NaN, absurd). It was ignored. */
  | 'usage_invalid'
  /** More was reported than the call could have used. It is billed up to that bound. */
  | 'usage_capped'
  /** Parts exceed their total (cached above input, say). Each part is billed as reported. */
  | 'usage_inconsistent'
  /** Text and audio tokens have different prices, but the usage does not tell them apart: the text price. */
  | 'audio_split_missing'
  /** Some audio was read from a cache, but the usage does not say how much: as little as possible. */
  | 'cached_audio_split_missing'
  // Which price was taken.
  /** The price is the gateway's; the call went to the provider itself, which may bill another one. */
  | 'gateway_price'
  /** The model's own variant (`:online`, `:free`) has no price: that of the plain model. */
  | 'variant_price_missing'
  /** The listed price is one provider's; others differ. */
  | 'provider_price_varies'
  /** The price list has a dimension that this version does not know: it is not billed. */
  | 'price_dimension_unknown'
  /** No price for cache reads or writes: billed as fresh input. */
  | 'cache_read_price_missing'
  | 'cache_write_price_missing'
  /** The served tier or mode has no price for cache reads or writes: derived from the base prices. */
  | 'cache_read_price_from_base'
  | 'cache_write_price_from_base'
  /** The list has no price for 1-hour cache writes: twice the input price, as Anthropic bills them. */
  | 'cache_write_1h_price_assumed'
  /** Input has a higher tier here, cache reads do not: billed at their base price. */
  | 'cache_tier_missing'
  /** Above a threshold for which the served tier or mode documents no price: its normal price. */
  | 'long_context_undocumented'
  /** The model has no price for the region, fast mode or service tier that was served: the base price. */
  | 'region_price_missing'
  | 'fast_price_missing'
  | 'service_tier_price_missing'
  /** A service tier in a pinned region: the tier's price, without the region's surcharge. */
  | 'service_tier_region_undocumented'
  /** Batch: half price, as the gateway documents for most models. The list has no batch price for this one. */
  | 'batch_factor_assumed'
  /** The model has peak hours, but the usage does not say when the call began: no peak. */
  | 'peak_time_missing'
  /** The peak window has a holiday calendar, which is not known here: counted as a working day. */
  | 'holiday_calendar_ignored'
  /** Input-only by its type (embedding, decision): output is not billed. */
  | 'output_price_missing'
  /** Counted, but without a price: not billed on top of what is. */
  | 'web_search_price_missing'
  | 'maps_search_price_missing'
  | 'image_price_missing'
  | 'audio_price_missing'
  /** Images by the piece and output tokens are both billed; whether providers do is not documented. */
  | 'image_tokens_undocumented'
  /** The usage leaves the row of the price table open: the dearest that fits. */
  | 'highest_price_assumed'
  // What a provider reported.
  /** The reported cost is beyond what the call can have cost. It is not used. */
  | 'reported_cost_refused'
  /** The reported cost is far below what the call should have cost. It is used. */
  | 'reported_cost_low'
  /** The gateway's surcharge is part of the cost. */
  | 'surcharge_included'
  // How it was written down.
  /** The cost has more than 12 decimal places; credits were computed from all of them. */
  | 'cost_rounded'
