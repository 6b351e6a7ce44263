#!/bin/sh
# A stand-in for nvidia-smi: the cards of nvml_stand_in.c, in the words of the real one. With CHANGED set, its answers pass
# through `sed -e "$CHANGED"` first.
{ case "$*" in
'-q -x') cat <<'END'
<?xml version="1.0" ?>
<nvidia_smi_log>
<driver_version>550.54.14</driver_version><cuda_version>12.4</cuda_version>
<gpu id="00000000:01:00.0">
<product_name>NVIDIA H100 80GB HBM3</product_name><uuid>GPU-00000000-aaaa-bbbb-cccc-000000000000</uuid>
<mig_mode><current_mig>Disabled</current_mig></mig_mode><mig_devices>None</mig_devices>
<pci><pci_bus_id>00000000:01:00.0</pci_bus_id><pci_gpu_link_info><pcie_gen><max_link_gen>5</max_link_gen><current_link_gen>5</current_link_gen></pcie_gen><link_widths><max_link_width>16x</max_link_width><current_link_width>16x</current_link_width></link_widths></pci_gpu_link_info><replay_counter>7</replay_counter><tx_util>1000 KB/s</tx_util><rx_util>2000 KB/s</rx_util></pci>
<fan_speed>30 %</fan_speed><performance_state>P0</performance_state><clocks_event_reasons><clocks_event_reason_gpu_idle>Not Active</clocks_event_reason_gpu_idle><clocks_event_reason_applications_clocks_setting>Not Active</clocks_event_reason_applications_clocks_setting><clocks_event_reason_sw_power_cap>Not Active</clocks_event_reason_sw_power_cap><clocks_event_reason_hw_slowdown>Not Active</clocks_event_reason_hw_slowdown><clocks_event_reason_hw_thermal_slowdown>Not Active</clocks_event_reason_hw_thermal_slowdown><clocks_event_reason_hw_power_brake_slowdown>Not Active</clocks_event_reason_hw_power_brake_slowdown><clocks_event_reason_sync_boost>Not Active</clocks_event_reason_sync_boost><clocks_event_reason_sw_thermal_slowdown>Not Active</clocks_event_reason_sw_thermal_slowdown><clocks_event_reason_display_clocks_setting>Not Active</clocks_event_reason_display_clocks_setting></clocks_event_reasons>
<fb_memory_usage><total>81920 MiB</total><reserved>512 MiB</reserved><used>20480 MiB</used><free>60928 MiB</free></fb_memory_usage>
<utilization><gpu_util>75 %</gpu_util><memory_util>40 %</memory_util><encoder_util>5 %</encoder_util><decoder_util>10 %</decoder_util></utilization>
<ecc_mode><current_ecc>Enabled</current_ecc></ecc_mode><ecc_errors><volatile><sram_correctable>0</sram_correctable><sram_uncorrectable_parity>0</sram_uncorrectable_parity><sram_uncorrectable_secded>0</sram_uncorrectable_secded><dram_correctable>2</dram_correctable><dram_uncorrectable>0</dram_uncorrectable></volatile><aggregate><sram_correctable>0</sram_correctable><sram_uncorrectable_parity>0</sram_uncorrectable_parity><sram_uncorrectable_secded>0</sram_uncorrectable_secded><dram_correctable>3</dram_correctable><dram_uncorrectable>1</dram_uncorrectable></aggregate></ecc_errors><retired_pages><multiple_single_bit_retirement><retired_count>N/A</retired_count></multiple_single_bit_retirement><double_bit_retirement><retired_count>N/A</retired_count></double_bit_retirement><pending_retirement>N/A</pending_retirement></retired_pages>
<remapped_rows><remapped_row_corr>3</remapped_row_corr><remapped_row_unc>1</remapped_row_unc><remapped_row_pending>No</remapped_row_pending><remapped_row_failure>No</remapped_row_failure></remapped_rows>
<temperature><gpu_temp>63 C</gpu_temp><gpu_temp_max_threshold>95 C</gpu_temp_max_threshold><gpu_temp_slow_threshold>92 C</gpu_temp_slow_threshold><gpu_temp_max_gpu_threshold>87 C</gpu_temp_max_gpu_threshold><memory_temp>71 C</memory_temp><gpu_temp_max_mem_threshold>95 C</gpu_temp_max_mem_threshold></temperature>
<gpu_power_readings><power_draw>350.25 W</power_draw><current_power_limit>700.00 W</current_power_limit></gpu_power_readings>
<clocks><graphics_clock>1980 MHz</graphics_clock><sm_clock>1980 MHz</sm_clock><mem_clock>2619 MHz</mem_clock><video_clock>1545 MHz</video_clock></clocks>
<max_clocks><graphics_clock>1980 MHz</graphics_clock><sm_clock>1980 MHz</sm_clock><mem_clock>2619 MHz</mem_clock><video_clock>1545 MHz</video_clock></max_clocks>
<processes><process_info><pid>4242</pid><type>C</type><process_name>server</process_name><used_memory>20480 MiB</used_memory></process_info></processes>
</gpu>
<gpu id="00000000:02:00.0">
<product_name>NVIDIA A100-SXM4-40GB</product_name><uuid>GPU-00000001-aaaa-bbbb-cccc-000000000000</uuid>
<mig_mode><current_mig>Enabled</current_mig></mig_mode><mig_devices><mig_device><index>0</index><gpu_instance_id>9</gpu_instance_id><fb_memory_usage><total>5120 MiB</total><reserved>512 MiB</reserved><used>1280 MiB</used><free>1 MiB</free></fb_memory_usage></mig_device><mig_device><index>1</index><gpu_instance_id>10</gpu_instance_id><fb_memory_usage><total>10240 MiB</total><reserved>512 MiB</reserved><used>2560 MiB</used><free>1 MiB</free></fb_memory_usage></mig_device></mig_devices>
<pci><pci_bus_id>00000000:02:00.0</pci_bus_id><pci_gpu_link_info><pcie_gen><max_link_gen>5</max_link_gen><current_link_gen>5</current_link_gen></pcie_gen><link_widths><max_link_width>16x</max_link_width><current_link_width>8x</current_link_width></link_widths></pci_gpu_link_info><replay_counter>7</replay_counter><tx_util>1000 KB/s</tx_util><rx_util>2000 KB/s</rx_util></pci>
<fan_speed>N/A</fan_speed><performance_state>P0</performance_state><clocks_event_reasons><clocks_event_reason_gpu_idle>Active</clocks_event_reason_gpu_idle><clocks_event_reason_applications_clocks_setting>Not Active</clocks_event_reason_applications_clocks_setting><clocks_event_reason_sw_power_cap>Not Active</clocks_event_reason_sw_power_cap><clocks_event_reason_hw_slowdown>Not Active</clocks_event_reason_hw_slowdown><clocks_event_reason_hw_thermal_slowdown>Not Active</clocks_event_reason_hw_thermal_slowdown><clocks_event_reason_hw_power_brake_slowdown>Not Active</clocks_event_reason_hw_power_brake_slowdown><clocks_event_reason_sync_boost>Not Active</clocks_event_reason_sync_boost><clocks_event_reason_sw_thermal_slowdown>Not Active</clocks_event_reason_sw_thermal_slowdown><clocks_event_reason_display_clocks_setting>Not Active</clocks_event_reason_display_clocks_setting></clocks_event_reasons>
<fb_memory_usage><total>40960 MiB</total><reserved>512 MiB</reserved><used>10240 MiB</used><free>30208 MiB</free></fb_memory_usage>
<utilization><gpu_util>N/A</gpu_util><memory_util>N/A</memory_util><encoder_util>5 %</encoder_util><decoder_util>10 %</decoder_util></utilization>
<ecc_mode><current_ecc>Enabled</current_ecc></ecc_mode><ecc_errors><volatile><sram_correctable>0</sram_correctable><sram_uncorrectable_parity>0</sram_uncorrectable_parity><sram_uncorrectable_secded>0</sram_uncorrectable_secded><dram_correctable>2</dram_correctable><dram_uncorrectable>0</dram_uncorrectable></volatile><aggregate><sram_correctable>0</sram_correctable><sram_uncorrectable_parity>0</sram_uncorrectable_parity><sram_uncorrectable_secded>0</sram_uncorrectable_secded><dram_correctable>3</dram_correctable><dram_uncorrectable>1</dram_uncorrectable></aggregate></ecc_errors><retired_pages><multiple_single_bit_retirement><retired_count>1</retired_count></multiple_single_bit_retirement><double_bit_retirement><retired_count>0</retired_count></double_bit_retirement><pending_retirement>No</pending_retirement></retired_pages>
<remapped_rows><remapped_row_corr>3</remapped_row_corr><remapped_row_unc>1</remapped_row_unc><remapped_row_pending>No</remapped_row_pending><remapped_row_failure>No</remapped_row_failure></remapped_rows>
<temperature><gpu_temp>41 C</gpu_temp><gpu_temp_max_threshold>95 C</gpu_temp_max_threshold><gpu_temp_slow_threshold>92 C</gpu_temp_slow_threshold><gpu_temp_max_gpu_threshold>87 C</gpu_temp_max_gpu_threshold><memory_temp>N/A</memory_temp><gpu_temp_max_mem_threshold>95 C</gpu_temp_max_mem_threshold></temperature>
<gpu_power_readings><power_draw>100.50 W</power_draw><current_power_limit>400.00 W</current_power_limit></gpu_power_readings>
<clocks><graphics_clock>1980 MHz</graphics_clock><sm_clock>1980 MHz</sm_clock><mem_clock>2619 MHz</mem_clock><video_clock>1545 MHz</video_clock></clocks>
<max_clocks><graphics_clock>1980 MHz</graphics_clock><sm_clock>1980 MHz</sm_clock><mem_clock>2619 MHz</mem_clock><video_clock>1545 MHz</video_clock></max_clocks>
<processes><process_info><gpu_instance_id>9</gpu_instance_id><pid>4343</pid><type>C</type><process_name>server</process_name><used_memory>1024 MiB</used_memory></process_info></processes>
</gpu>
</nvidia_smi_log>
END
;;
-L) cat <<'END'
GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-00000000-aaaa-bbbb-cccc-000000000000)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-00000001-aaaa-bbbb-cccc-000000000000)
  MIG 1g.5gb      Device  0: (UUID: MIG-00000000-aaaa-bbbb-cccc-000000000000)
  MIG 2g.10gb     Device  1: (UUID: MIG-00000001-aaaa-bbbb-cccc-000000000000)
END
;;
'nvlink -s') cat <<'END'
GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-00000000-aaaa-bbbb-cccc-000000000000)
	 Link 0: 26.562 GB/s
	 Link 1: <inactive>
END
;;
'nvlink -e') cat <<'END'
GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-00000000-aaaa-bbbb-cccc-000000000000)
	 Link 0: Replay Errors: 0
	 Link 0: Recovery Errors: 1
	 Link 0: CRC Errors: 2
	 Link 1: Replay Errors: 10
	 Link 1: Recovery Errors: 11
	 Link 1: CRC Errors: 12
END
;;
*) exit 1 ;;
esac; } | sed -e "${CHANGED:-}"
